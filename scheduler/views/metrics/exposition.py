"""Prometheus' text, by prometheus-client: a registry of our own, with one collector."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from scheduler.views.metrics.catalogue import PREFIX, Distribution, Family, Kind


def expose(families: Iterable[Family], *, accept: str = "") -> tuple[bytes, str]:
    """
    Write *families* in the format that *accept*, an HTTP header, asks for; return its type, too.

    Where it asks for nothing it is the text that the textfile collector of node_exporter reads.
    """
    registry = CollectorRegistry()
    registry.register(_Families(families))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Families(Collector):
    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return (_WRITERS[family.metric.kind](family) for family in self._families)


def _values(
    kind: type[GaugeMetricFamily] | type[CounterMetricFamily],
) -> Callable[[Family], Metric]:
    def write(family: Family) -> Metric:
        metric = family.metric
        written = kind(PREFIX + metric.name, metric.help, labels=metric.labels)
        for sample in family.samples:
            if not isinstance(sample.value, Distribution):
                written.add_metric(sample.labels, sample.value)
        return written

    return write


def _info(family: Family) -> Metric:
    metric = family.metric
    written = InfoMetricFamily(PREFIX + metric.name, metric.help)
    for sample in family.samples:
        written.add_metric((), dict(zip(metric.labels, sample.labels, strict=True)))
    return written


def _histogram(family: Family) -> Metric:
    metric = family.metric
    written = HistogramMetricFamily(PREFIX + metric.name, metric.help, labels=metric.labels)
    for sample in family.samples:
        if isinstance(sample.value, Distribution):
            written.add_metric(sample.labels, sample.value.buckets, sample.value.seconds)
    return written


_WRITERS: Final = {
    Kind.GAUGE: _values(GaugeMetricFamily),
    Kind.COUNTER: _values(CounterMetricFamily),
    Kind.HISTOGRAM: _histogram,
    Kind.INFO: _info,
}
