"""Sphinx settings for the documentation site; `make docs` builds it."""

from shared import __version__

project = "APIM WebSocket log exporter"
author = "the contributors"
copyright = "2026, the contributors"  # noqa: A001 - Sphinx reads this name
release = __version__
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = project
myst_heading_anchors = 3
# Blocks of KQL and DAX have no lexer in Pygments; they are shown without colors.
suppress_warnings = ["misc.highlighting_failure"]
