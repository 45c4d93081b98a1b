"""`/static/…`: the style sheet and the script, by names that change with what is in them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from starlette.responses import Response

from scheduler.web.access import Anybody
from scheduler.web.problems import Refused
from scheduler.web.routing import Router

router = Router(include_in_schema=False)

FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOR_EVER: Final = "public, max-age=31536000, immutable"


def _hashed(file: Path) -> str:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    return f"{file.stem}.{digest}{file.suffix}"


_FILES: Final[Mapping[str, Path]] = {
    file.name: file for file in sorted(FOLDER.iterdir()) if file.suffix in _TYPES
}
_NAMES: Final = {name: _hashed(file) for name, file in _FILES.items()}
_CONTENTS: Final = {_NAMES[name]: file.read_bytes() for name, file in _FILES.items()}


def asset(name: str) -> str:
    """Return the path of a file of static/; raises KeyError for none."""
    return f"/static/{_NAMES[name]}"


@router.get("/static/{name}")
async def static(caller: Anybody, name: str) -> Response:
    """Return a file, which a browser may keep for ever: a changed one has another name."""
    content = _CONTENTS.get(name)
    if content is None:
        raise Refused(404, "no-such-path", "there is no such file: open the page again")
    headers = {"Cache-Control": _FOR_EVER}
    return Response(content, media_type=_TYPES[Path(name).suffix], headers=headers)


@router.get("/favicon.ico")
async def favicon(caller: Anybody) -> Response:
    """Return the mark of the tab; browsers ask for it by this name."""
    return Response(_CONTENTS[_NAMES["mark.svg"]], media_type="image/svg+xml")
