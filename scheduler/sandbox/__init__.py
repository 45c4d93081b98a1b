"""
A local stand-in of the upstream over real HTTP, for demos, rehearsals and tests.

Its source is the document of the DCA; where that is silent, the docstring of the place says what
was decided. "(DCA, 1)" and "(DCA, 2)" cite its sections: the trigger, and what can be asked after.
"""

from scheduler.sandbox.fault_plan import Fault, FaultKind, When
from scheduler.sandbox.server import Sandbox, serve_forever
from scheduler.sandbox.settings import SandboxCollector, SandboxSettings

__all__ = [
    "Fault",
    "FaultKind",
    "Sandbox",
    "SandboxCollector",
    "SandboxSettings",
    "When",
    "serve_forever",
]
