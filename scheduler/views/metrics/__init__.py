"""What is measured, and the one way to Prometheus' text."""

from scheduler.views.metrics.catalogue import CATALOGUE
from scheduler.views.metrics.exposition import expose
from scheduler.views.metrics.read import read_metrics

__all__ = ["CATALOGUE", "expose", "read_metrics"]
