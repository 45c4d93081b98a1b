"""The exact query and body a run will send."""

from scheduler.domain.request.trigger_request import TriggerRequest

__all__ = ["TriggerRequest"]
