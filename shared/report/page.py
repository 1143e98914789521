"""Renders the aggregates as one HTML file without external resources; scripts and data are compressed."""

import base64
import gzip
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import orjson
import vl_convert

from shared import __version__
from shared.report.database import LONGEST, Aggregates, Grid
from shared.report.locations import Range
from shared.timeunits import SECOND
from shared.wording import counted

_SCRIPTS = ("aggregates.js", "zoom.js", "plots.js", "legend.js", "page.js")


@dataclass(frozen=True, slots=True)
class PageFacts:
    """Facts on the page in addition to the aggregates."""

    range: Range
    """The requested range."""
    created: int
    """When the report was created (µs since 1970 UTC)."""
    covered: Range
    """The part of the range that has data."""
    bars: Grid
    points: Grid
    origin: str
    """The location of the files."""
    files: int
    empty: bool
    """Whether the range is empty."""
    earliest: int | None
    """The first hour with a record, determined only if the range is empty (µs since 1970 UTC)."""
    dead_letters: bool
    """Whether dead letters could be read."""
    matches: tuple[str, ...]
    """Sentences that say how many connections have a request; empty unless both tables are exported."""
    commits: bool
    """Whether the commit times of files are known."""


def page(aggregates: Aggregates, facts: PageFacts) -> str:
    """Renders the whole file."""
    data: dict[str, Any] = {
        **aggregates,
        "bars": _grid(facts.bars),
        "points": _grid(facts.points),
        "grid": {
            "from": facts.range.since // 1000,
            "to": facts.range.until // 1000,
            "commits": facts.commits,
            "letters": facts.dead_letters,
        },
        "listed": LONGEST,
    }
    own = "".join(_text(name).replace('"use strict";\n', "") for name in _SCRIPTS)
    scripts = f"{_chart_library()}\n{{\n{own}}}\n"
    loader = _text("load.js")
    style = _text("page.css")
    policy = (
        f"default-src 'none'; script-src {_hash(loader)} {_hash(scripts)}; style-src {_hash(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    origin = f"{facts.origin}: {counted(facts.files, 'file')}"
    if not facts.empty:
        origin += f", with data from {_time(facts.covered.since)} to {_time(facts.covered.until)}"
    earliest = "The location has no records, or none as Parquet."
    if facts.earliest is not None:
        earliest = f"The first records are from {_time(facts.earliest)}."
    return Template(_text("page.html")).substitute(
        policy=policy,
        style=style,
        loader=loader,
        scripts=_compressed(scripts.encode()),
        data=_compressed(orjson.dumps(data)),
        since=_time(facts.range.since),
        until=_time(facts.range.until),
        origin=escape(origin),
        matches="".join(f'<p class="muted matches">{escape(one)}</p>' for one in facts.matches),
        created=_time(facts.created),
        earliest=earliest,
        notes="Connections that ended more than a day after the range count as unfinished.",
        program=f"apim-websocket-log-exporter {__version__}",
        vega=vl_convert.get_vega_version(),
    )


@cache
def _chart_library() -> str:
    """Returns vega-embed and all that it needs as one script, which takes a second to build."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")


def _grid(grid: Grid) -> dict[str, int]:
    """Converts a grid for JavaScript, in ms."""
    return {"start": grid.first * grid.step // 1000, "step": grid.step // 1000, "count": grid.count}


def _text(name: str) -> str:
    return (files("shared.report") / name).read_text(encoding="utf-8")


def _compressed(content: bytes) -> str:
    """Compresses what load.js decompresses: gzip in Base64, which contains no markup."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _time(microseconds: int) -> str:
    return f"{datetime.fromtimestamp(microseconds // SECOND, UTC):%Y-%m-%d %H:%M}"
