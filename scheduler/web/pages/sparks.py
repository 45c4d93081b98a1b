"""Pictures as the templates have them: markup that is safe, for it was made here."""

from collections.abc import Sequence

from markupsafe import Markup

from scheduler.views.history import RunFigures
from scheduler.views.status import DaemonView
from scheduler.web.pictures.spark import Ended, draw_lags, draw_spark


def spark_of(last: Sequence[RunFigures]) -> Markup:
    """Draw the last runs of a schedule, the newest at the right."""
    bars = [Ended(state=run.state, seconds=run.took) for run in last]
    return Markup(draw_spark(bars))  # noqa: S704 - it escapes what it is given


def lags_of(daemon: DaemonView) -> Markup:
    """Return the picture of a daemon's loop lag."""
    return Markup(draw_lags(daemon.loop_lags or ()))  # noqa: S704
