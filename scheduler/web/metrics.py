"""/metrics: what `dca-scheduler metrics --text` prints."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from scheduler.views.metrics import expose, read_metrics
from scheduler.web.access import Scraper
from scheduler.web.models import answers
from scheduler.web.routing import Router

router = Router(tags=["metrics"])


@router.get("/metrics", response_class=PlainTextResponse, **answers(str))
async def metrics(caller: Scraper, request: Request) -> Response:
    """
    Tell what is measured, in Prometheus' text, or OpenMetrics where Accept asks for it.

    With a token of scope read; without one where [http] says open_metrics.
    """
    limit = caller.site.config.metrics.max_schedules
    families = await caller.ask(read_metrics, max_schedules=limit)
    text, content_type = expose(families, accept=request.headers.get("accept", ""))
    return Response(text, headers={"Content-Type": content_type})
