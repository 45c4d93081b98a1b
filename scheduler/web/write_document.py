"""`python -m scheduler.web.write_document > docs/openapi.json`: the copy of the document, anew."""

import json
import sys
from typing import Any, cast

from scheduler.config import Config, HttpSettings, LoadedConfig
from scheduler.web.app import create_app
from scheduler.web.document import document
from scheduler.web.site import Site


def document_text() -> str:
    """Return the document as docs/openapi.json has it; no database is opened."""
    no_database = cast("Any", None)
    loaded = LoadedConfig(Config(), (), None)
    site = Site(db=no_database, loaded=loaded, settings=HttpSettings())
    return json.dumps(document(create_app(site)), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document_text())
