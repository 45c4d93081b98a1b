"""How the site is made of the Markdown beside this file: `python3 dev.py docs`. No network."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from generate import write_reference

from scheduler import __version__

write_reference(HERE / "reference")

project = "dca-scheduler"
author = "the authors of dca-scheduler"
release = version = __version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"dca-scheduler {__version__}"
html_show_sphinx = False
html_copy_source = False
myst_heading_anchors = 3
myst_enable_extensions = ["fieldlist"]
# Files that are no pages: README.md, the code. They are read in the repository.
suppress_warnings = ["myst.xref_missing", "misc.highlighting_failure"]
