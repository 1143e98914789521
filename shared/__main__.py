"""The operator's command line: `python -m shared <command>`; each command reads the app's own settings."""

import argparse
import re
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared import __version__, console, operations, settings, storage
from shared.dialects import DIALECTS
from shared.envelope import Reason
from shared.errors import ExporterError
from shared.schema import CONNECTIONS, RECORDS
from shared.settings import Settings
from shared.storage import Storage

SECOND = 1_000_000
SPANS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
SETTINGS = """
It reads the settings of the function app from the environment: OutputStorage (a connection string) or
OutputStorage__blobServiceUri (with your own login or a managed identity), and, where they are not the
defaults, OUTPUT_CONTAINER, STATE_CONTAINER and StateStorage.
"""
FAILED, STOPPED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; its exit status."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        return command(options)
    except ExporterError as error:
        console.progressed()
        sys.stderr.write(f"error: {error}\n")
        return FAILED
    except KeyboardInterrupt:
        return STOPPED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m shared",
        description="Looks after an exporter of API Management WebSocket connection logs.",
        epilog="examples:\n  python -m shared status\n  python -m shared audit --since 30d\n"
        "  python -m shared replay --help\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _status(commands)
    _audit(commands)
    _replay(commands)
    _adopt(commands)
    _report(commands)
    _schema(commands)
    return parser


def _command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], help_: str, more: str, examples: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help_,
        description=f"{help_}\n{more}",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def _status(commands: Any) -> None:
    def run(options: argparse.Namespace) -> int:
        store = _connect(_settings())
        while True:
            found = operations.status(store, _now(), as_json=options.json)
            if options.watch is None:
                return found
            console.say()
            time.sleep(options.watch)

    parser = _command(
        commands,
        "status",
        run,
        "Says how each source stands. Read-only.",
        f"Exit status: 0 all is well, 1 something needs a look, 2 it could not be told.\n{SETTINGS}",
        "  python -m shared status\n  python -m shared status --json\n  python -m shared status --watch 30",
    )
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument(
        "--watch",
        nargs="?",
        type=_seconds,
        const=10,
        metavar="SECONDS",
        help="again and again, by default every 10 s",
    )


def _audit(commands: Any) -> None:
    def run(options: argparse.Namespace) -> int:
        return operations.audit(_connect(_settings()), options.since, deep=options.deep, as_json=options.json)

    parser = _command(
        commands,
        "audit",
        run,
        "Proves or refutes that the container holds every record once. Read-only.",
        "It compares every file, its metadata and its rows with the ledgers (docs/audit-and-replay.md).\n"
        f"Exit status: 0 proven, 1 refuted, 2 it could not be told.\n{SETTINGS}",
        "  python -m shared audit\n  python -m shared audit --deep\n"
        "  python -m shared audit --since 30d --json",
    )
    parser.add_argument(
        "--since",
        type=_time,
        default=0,
        metavar="TIME",
        help="only what was committed since: 30d, 12h, 2026-11-20 or 2026-11-20T10:00Z. "
        "Needed where a lifecycle rule deletes old files",
    )
    parser.add_argument("--deep", action="store_true", help="read every row and every dead letter, too")
    parser.add_argument("--json", action="store_true", help="for machines")


def _replay(commands: Any) -> None:
    def run(options: argparse.Namespace) -> int:
        config = _settings()
        return operations.replay(
            _connect(config),
            config.rules,
            config.MEMORY_BUDGET,
            operations.Choice(frozenset(options.reason), options.since, options.until),
            dry_run=options.dry_run,
            as_json=options.json,
            now=_now,
            new_id=_new_id,
        )

    parser = _command(
        commands,
        "replay",
        run,
        "Puts dead letters through today's code and settings, and exports what fits now, once.",
        "Doing it again changes nothing. What still does not fit stays (docs/audit-and-replay.md).\n"
        "It writes to the containers: try --dry-run first.\n"
        f"Exit status: 0 done, 2 it could not be done.\n{SETTINGS}",
        "  python -m shared replay --dry-run\n"
        "  python -m shared replay --reason implausible_time --since 7d\n"
        "  python -m shared replay --since 2026-11-20 --until 2026-11-21",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would become of them")
    parser.add_argument(
        "--reason",
        action="append",
        default=[],
        choices=[str(reason) for reason in Reason],
        metavar="REASON",
        help=f"only those rejected for this reason, or one of several: {', '.join(Reason)}",
    )
    parser.add_argument(
        "--since",
        type=_time,
        default=0,
        metavar="TIME",
        help="only what reached the hub since: 7d, 2026-11-20",
    )
    parser.add_argument(
        "--until", type=_time, default=1 << 62, metavar="TIME", help="only what reached the hub before"
    )
    parser.add_argument("--json", action="store_true", help="for machines")


def _adopt(commands: Any) -> None:
    def run(options: argparse.Namespace) -> int:
        return operations.adopt(
            _connect(_settings()), options.source, yes=options.yes, now=_now(), new_id=_new_id()
        )

    parser = _command(
        commands,
        "adopt",
        run,
        "Takes a ledger that was lost or rolled back as it is now, so that its source goes on.",
        "Records may come out twice: without --yes, it only says which. Restore the ledger if you can.\n"
        "Restart the function app afterwards: its processes remember the ledger that was.\n"
        f"Exit status: 0 nothing stands still, 1 something does, 2 it could not be told.\n{SETTINGS}",
        "  python -m shared adopt\n  python -m shared adopt my.servicebus.windows.net/apim-logs/0 --yes",
    )
    parser.add_argument(
        "source", nargs="?", help="namespace/hub/partition id; without it: those that stand still"
    )
    parser.add_argument("--yes", action="store_true", help="do it")


def _report(commands: Any) -> None:
    def run(options: argparse.Namespace) -> int:
        # DuckDB and the plots are packages of their own, which other commands go without.
        from shared.report import write  # noqa: PLC0415
        from shared.report.places import Container, Folder, Place, Range  # noqa: PLC0415

        if options.folder:
            name = f"a copy of the container in {options.folder}"
            place: Place = Folder(options.folder)
        else:
            config = _settings()
            name = f"container {config.OUTPUT_CONTAINER}"
            place = Container(_connect(config))
        until = _now() if options.until is None else options.until
        return write.command(place, name, Range(options.since, until), options.output, force=options.force)

    parser = _command(
        commands,
        "report",
        run,
        "Writes an HTML page with plots of a range of time. Read-only but for that file.",
        "It needs more packages: pip install -r requirements-report.txt (docs/report.md).\n"
        f"Exit status: 0 written, 2 it could not be.\n{SETTINGS}",
        "  python -m shared report\n  python -m shared report --since 7d --output week.html\n"
        "  python -m shared report --since 2026-11-20 --until 2026-11-21 --force\n"
        "  python -m shared report --folder copy --since 30d",
    )
    parser.add_argument(
        "--since", type=_time, default="24h", metavar="TIME", help="where the range begins; by default: 24h"
    )
    parser.add_argument("--until", type=_time, metavar="TIME", help="where it ends; by default: now")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", help="read a local copy of the output container; no settings"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("report.html"),
        metavar="FILE",
        help="the page; by default: report.html",
    )
    parser.add_argument("--force", action="store_true", help="write over the file if it is there")


def _schema(commands: Any) -> None:
    def run(options: argparse.Namespace) -> int:
        for table in {"records": [RECORDS], "connections": [CONNECTIONS], "both": [RECORDS, CONNECTIONS]}[
            options.table
        ]:
            render, location = DIALECTS[options.dialect]
            console.say(render(table, options.location or location))
        return 0

    parser = _command(
        commands,
        "schema",
        run,
        "Prints the exported tables: their columns, or what makes a reader know them.",
        "",
        "  python -m shared schema\n  python -m shared schema duckdb --location /data\n"
        "  python -m shared schema json-schema --table connections",
    )
    parser.add_argument(
        "dialect", nargs="?", default="text", choices=[*DIALECTS], help="the form; by default: text"
    )
    parser.add_argument(
        "--table", choices=["records", "connections", "both"], default="records", help="by default: records"
    )
    parser.add_argument("--location", help="where the container lies: a folder or an address")


def _settings() -> Settings:
    """Of the hub nothing is needed here."""
    return settings.load(EventHubConnection="-", EVENT_HUB_NAME="-", EVENT_HUB_CONSUMER_GROUP="-")


def _connect(config: Settings) -> Storage:
    return storage.connect(config.state, config.output, config.STATE_CONTAINER, config.OUTPUT_CONTAINER)


def _now() -> int:
    return time.time_ns() // 1000


def _new_id() -> str:
    return uuid.uuid4().hex


def _time(text: str) -> int:
    """A time, or how long ago it is, as µs since 1970 UTC."""
    span = re.fullmatch(r"(\d{1,5})([mhd])", text)
    if span:
        return _now() - int(span[1]) * (SPANS[span[2]] // timedelta(microseconds=1))
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected 30d, 12h, 90m, 2026-11-20 or 2026-11-20T10:00Z, came {text!r}"
        ) from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()) * SECOND


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", text) or float(text) < 1:
        raise argparse.ArgumentTypeError(f"expected seconds, 1 or more, came {text!r}")
    return float(text)


if __name__ == "__main__":
    sys.exit(main())
