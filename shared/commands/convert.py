"""`convert`: converts files of log records on this machine, without Azure."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.audit.audit import OK, WRONG
from shared.clock import now
from shared.commands import console
from shared.commands.console import YELLOW, paint, say, say_json
from shared.commands.declaration import command, moment
from shared.errors import ConvertError
from shared.output.formats import FORMATS
from shared.policies import ExportPolicy, FinishPolicy
from shared.tables.column_keys import EXAMPLE, ColumnKeys, parse, problems
from shared.tables.registry import of_categories
from shared.wording import counted

MORE = """
FILE is a file of messages, an archive that a diagnostic setting wrote (PT1H.json), or an export of a
workspace, compressed with gzip or not; - is standard input. The output is that of the function app:
parquet/<table>/date=…/hour=…/, _dead_letters/, and a row for each connection. No settings are needed.
Exit status: 0 all records passed, 1 something was rejected, 2 a file could not be read.
"""


def declare(commands: Any) -> None:
    """Adds the command to the command line."""
    parser = command(
        commands,
        "convert",
        _run,
        "Converts files of log records to Parquet and JSON Lines on this machine.",
        MORE,
        "  python -m shared convert PT1H.json --output out\n"
        "  python -m shared convert PT1H.json.gz --output out --format parquet,json --json\n"
        "  python -m shared convert - --output out --arrived 2026-11-20T10:00Z",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file to read, or - for standard input")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="an empty or new folder")
    parser.add_argument(
        "--format",
        type=_formats,
        default=("parquet",),
        metavar="LIST",
        help=f"{' or '.join(FORMATS)}, or both, separated by a comma (default: parquet)",
    )
    parser.add_argument(
        "--arrived",
        type=moment,
        metavar="TIME",
        help="when the records reached the hub (default: the hour in an archive's path, or the file's time)",
    )
    parser.add_argument(
        "--column-keys",
        type=_column_keys,
        default=(),
        metavar="KEYS",
        help=f"additional keys for columns, in the format of the setting COLUMN_KEYS: '{EXAMPLE}'",
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def _run(options: argparse.Namespace) -> int:
    from shared.convert.convert import convert  # noqa: PLC0415 - for a fast --help

    paths = [Path(name) for name in options.files if name != "-"]
    for path in paths:
        if not path.is_file():
            raise ConvertError(f"{path} is not a file")
    total = 0 if "-" in options.files else sum(path.stat().st_size for path in paths)
    done = convert(
        _inputs(options.files, options.arrived),
        options.output,
        ExportPolicy(formats=options.format, column_keys=options.column_keys),
        FinishPolicy(formats=options.format),
        lambda read: console.progress("converting", min(read, total) if total else read, total),
    )
    console.progressed()
    if options.json:
        say_json(done)
    else:
        say(f"{counted(done.files, 'file')}, {counted(done.records, 'record')}")
        say(f"{counted(done.rows, 'row')}, {counted(done.skipped, 'record')} of other categories")
        for reason, number in done.rejected.most_common():
            say(paint(f"  {number:,} rejected: {reason} (see {options.output}/_dead_letters)", YELLOW))
        say(counted(done.connections, "connection"))
        say(f"Written to {options.output}")
    return WRONG if done.rejected else OK


def _inputs(names: list[str], arrived: int | None) -> Iterator[Any]:
    from shared.convert.convert import Input, arrival  # noqa: PLC0415

    for name in names:
        if name == "-":
            file = os.fdopen(os.dup(0), "rb")
            yield Input("standard input", file, now() if arrived is None else arrived)
        else:
            path = Path(name)
            yield Input(name, path.open("rb"), arrival(path.absolute()) if arrived is None else arrived)


def _column_keys(text: str) -> ColumnKeys:
    try:
        found = parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected columns with keys, such as {EXAMPLE}") from None
    for problem in problems(of_categories(ExportPolicy().categories), found):
        raise argparse.ArgumentTypeError(problem)
    return found


def _formats(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(text.split(",")))
    if unknown := set(found) - set(FORMATS):
        raise argparse.ArgumentTypeError(f"unknown format {', '.join(sorted(unknown))}")
    return found
