"""`report`: writes an HTML page of charts for a time range."""

import argparse
from pathlib import Path
from typing import Any

from shared.audit.audit import OK
from shared.clock import now
from shared.commands import console
from shared.commands.connection import check_dead_letters, configured, connect
from shared.commands.declaration import SETTINGS, command, moment
from shared.errors import AccessError
from shared.settings import Settings
from shared.wording import counted


def _readable(config: Settings) -> bool:
    """Whether the dead letters can be read; if not, prints what the report lacks."""
    try:
        check_dead_letters(config)
    except AccessError as error:
        console.say(f"The report has no rejections. {error}")
        return False
    return True


def declare(commands: Any) -> None:
    """Adds the command to the command line."""

    def run(options: argparse.Namespace) -> int:
        # DuckDB and the charts are separate packages, which other commands do not need.
        from shared.report.locations import Container, Folder, Location, Range  # noqa: PLC0415
        from shared.report.write import write  # noqa: PLC0415

        if options.folder:
            name = f"a copy of the container in {options.folder}"
            place: Location = Folder(options.folder)
        else:
            config = configured()
            name = f"container {config.OUTPUT_CONTAINER}"
            storage = connect(config, dead_letters=False)
            place = Container(storage, dead_letters=_readable(config))
        until = now() if options.until is None else options.until
        done = write(
            place,
            name,
            Range(options.since, until),
            options.output,
            force=options.force,
            progress=console.progress,
        )
        console.progressed()
        if done.empty:
            console.say("Nothing was exported in this range; the page says how to widen it.")
        console.say(
            f"{options.output}: {counted(done.ended, 'ended connection')},"
            f" {counted(done.records, 'record')}, {counted(done.files, 'file')};"
            f" a page of {done.size:,} bytes"
        )
        return OK

    parser = command(
        commands,
        "report",
        run,
        "Writes an HTML page with charts for a time range. Writes nothing but that file.",
        "It needs additional packages: pip install -r requirements-report.txt (docs/report.md).\n"
        f"Exit status: 0 written, 2 the command failed.\n{SETTINGS}",
        "  python -m shared report\n  python -m shared report --since 7d --output week.html\n"
        "  python -m shared report --since 2026-11-20 --until 2026-11-21 --force\n"
        "  python -m shared report --folder copy --since 30d",
    )
    parser.add_argument(
        "--since", type=moment, default="24h", metavar="TIME", help="start of the range (default: 24h ago)"
    )
    parser.add_argument("--until", type=moment, metavar="TIME", help="end of the range (default: now)")
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="read a local copy of the output container, without settings",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("report.html"),
        metavar="FILE",
        help="the file to write (default: report.html)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite an existing file")
