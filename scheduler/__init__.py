"""dca-scheduler: a persistent job queue and scheduler daemon in front of the Data Collector API."""

__version__ = "0.2.0"
