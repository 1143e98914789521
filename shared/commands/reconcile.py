"""`reconcile`: compares the container with an export of a Log Analytics workspace."""

import argparse
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from shared import settings
from shared.arrays import integers
from shared.audit.audit import OK, WRONG
from shared.commands.connection import configured, connect
from shared.commands.console import GREEN, RED, YELLOW, paint, say, say_json
from shared.commands.declaration import SETTINGS, command, moment
from shared.commands.documents import ReconcileDocument, ReconcileMinute, ReconcileRecord
from shared.convert.folder_storage import FolderStorage
from shared.errors import ReconcileError
from shared.input import redaction
from shared.policies import RedactionPolicy
from shared.reconcile import container, workspace_export
from shared.reconcile.comparison import Comparison, Record, compare
from shared.settings.command_line import HubSettings
from shared.tables.registry import TABLES, of_categories
from shared.tables.table import Table
from shared.timeunits import MINUTE, SECOND
from shared.wording import counted

SHOWN = 10
"""Maximum minutes and records of each kind that are printed."""
METRIC = "WebSocketConnectionAttempts"
MORE = f"""
FILE is CSV (from the portal, for example), JSON or JSON Lines, compressed with gzip or not, or Parquet. Its
rows are redacted according to the settings, so that both sides can be compared. The file is neither stored
nor sent anywhere.
The range is that of the file unless --since and --until narrow it (docs/why.md).
Exit status: 0 the same, 1 they differ, 2 the command failed.
{SETTINGS}"""


def declare(commands: Any) -> None:
    """Adds the command to the command line."""
    parser = command(
        commands,
        "reconcile",
        _run,
        "Compares the container with an export of the same records from a workspace. Read-only.",
        MORE,
        "  python -m shared reconcile --against export.csv\n"
        "  python -m shared reconcile --against export.json --since 2026-11-20 --until 2026-11-27 --json\n"
        "  python -m shared reconcile --against export.csv --folder copy --ignore Region",
    )
    parser.add_argument("--against", type=Path, required=True, metavar="FILE", help="the workspace's export")
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="read a local copy of the output container; needs no settings",
    )
    parser.add_argument(
        "--table",
        choices=[name for name, table in TABLES.items() if table.category],
        metavar="TABLE",
        help="one of %(choices)s (default: the one in the file's column Type, or the first that is exported)",
    )
    parser.add_argument("--since", type=moment, metavar="TIME", help="start of the range")
    parser.add_argument("--until", type=moment, metavar="TIME", help="end of the range")
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="COLUMN", help="a column that is not compared"
    )
    parser.add_argument(
        "--metric",
        type=Path,
        metavar="FILE",
        help=f"output of `az monitor metrics list --metric {METRIC}`, to show its total, too",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _run(options: argparse.Namespace) -> int:
    config = settings.load_as(HubSettings) if options.folder else configured()
    if options.folder and not options.folder.is_dir():
        raise ReconcileError(f"{options.folder} is not a folder with a copy of the output container")
    raw = workspace_export.read(options.against)
    table = _table(options.table, raw, of_categories(config.EXPORT_CATEGORIES))
    export = workspace_export.typed(raw, table, options.against)
    since, until = _range(export[table.time_column], options.since, options.until, options.against)
    times = pc.cast(export[table.time_column], pa.int64())
    export = export.filter(pc.and_(pc.greater_equal(times, since), pc.less(times, until)))
    policy = config.export_policy.redaction
    export, _ = redaction.redact(export, policy)
    with tempfile.TemporaryDirectory() as nothing:
        local = FolderStorage(Path(nothing), options.folder) if options.folder else None
        storage = local or connect(config, dead_letters=False)
        rows = container.read(storage, table, export.column_names, since, until)
    found = compare(export, rows, table.time_column, removed=_removed(policy, export), ignored=options.ignore)
    attempts = None if options.metric is None else _attempts(options.metric, since, until)
    if options.json:
        say_json(_document(found, table, since, until, attempts))
    else:
        _print(found, table, since, until, attempts, _connections(export), _connections(rows))
    return OK if found.same else WRONG


def _table(name: str | None, raw: pa.Table, exported: tuple[Table, ...]) -> Table:
    if name:
        return TABLES[name]
    if raw.num_rows and "Type" in raw.column_names:
        found = str(raw["Type"][0].as_py())
        if found in TABLES:
            return TABLES[found]
    return exported[0]


def _range(times: pa.ChunkedArray, since: int | None, until: int | None, path: Path) -> tuple[int, int]:
    """Returns the requested range, or else the whole minutes of the file."""
    if (since is None or until is None) and not len(times):
        raise ReconcileError(f"{path} has no rows; set --since and --until")
    found = integers(times.combine_chunks()) if len(times) else None
    first = since if since is not None or found is None else int(found.min()) // MINUTE * MINUTE
    last = until if until is not None or found is None else (int(found.max()) // MINUTE + 1) * MINUTE
    assert first is not None
    assert last is not None
    if first >= last:
        raise ReconcileError("the range is empty: --since must be before --until")
    return first, last


def _removed(policy: RedactionPolicy, export: pa.Table) -> dict[str, str]:
    return {name: "dropped by DROP_COLUMNS" for name in policy.drop_columns if name in export.column_names}


def _connections(rows: pa.Table) -> int | None:
    if "CorrelationId" not in rows.column_names:
        return None
    return int(pc.count_distinct(rows["CorrelationId"]).as_py())


def _attempts(path: Path, since: int, until: int) -> int:
    """Returns the metric's total in the range. Raises ReconcileError."""
    try:
        answer = orjson.loads(path.read_bytes())
        points = [
            point for metric in answer["value"] for series in metric["timeseries"] for point in series["data"]
        ]
        return round(
            sum(point.get("total") or 0 for point in points if since <= moment(point["timeStamp"]) < until)
        )
    except (ValueError, KeyError, TypeError, argparse.ArgumentTypeError) as error:
        raise ReconcileError(
            f"{path} is not the output of `az monitor metrics list --metric {METRIC}`: {error!r}"
        ) from error


def _document(
    found: Comparison, table: Table, since: int, until: int, attempts: int | None
) -> ReconcileDocument:
    return ReconcileDocument(
        same=found.same,
        table=table.name,
        since=_moment(since),
        until=_moment(until),
        export=found.export,
        container=found.container,
        columns=found.columns,
        left_out=found.left_out,
        minutes=[
            ReconcileMinute(at=_moment(one.at), export=one.export, container=one.container)
            for one in found.minutes
        ],
        missing=[ReconcileRecord(values=list(record), times=times) for record, times in found.missing],
        extra=[ReconcileRecord(values=list(record), times=times) for record, times in found.extra],
        suspects=found.suspects,
        attempts=attempts,
    )


def _print(
    found: Comparison,
    table: Table,
    since: int,
    until: int,
    attempts: int | None,
    in_file: int | None,
    in_container: int | None,
) -> None:
    say(f"{table.name} from {_time(since)} to {_time(until)}")
    say(f"{counted(found.export, 'row')} in the export, {found.container:,} in the container")
    if attempts is not None:
        counts = "without CorrelationId, connections cannot be counted"
        if in_file is not None and in_container is not None:
            counts = f"{counted(in_file, 'connection')} in the export, {in_container:,} in the container"
        say(f"{counted(attempts, 'connection attempt')} according to Azure's metric; {counts}")
    for minute in found.minutes[:SHOWN]:
        say(f"  {_time(minute.at)}: {minute.export:,} in the export, {minute.container:,} in the container")
    _rest(len(found.minutes), "minutes differ")
    say(f"Records were compared by {', '.join(found.columns)}")
    for name, reason in found.left_out.items():
        say(paint(f"  not by {name}: {reason}", YELLOW))
    _records("missing in the container", found.missing)
    _records("extra in the container", found.extra)
    for name, number in found.suspects.items():
        say(
            paint(
                f"{counted(number, 'of them matches', 'of them match')} if {name} is left out "
                f"(--ignore {name})",
                YELLOW,
            )
        )
    say(paint("The same." if found.same else "They differ.", GREEN if found.same else RED))


def _records(what: str, records: list[tuple[Record, int]]) -> None:
    total = sum(number for _, number in records)
    if total:
        say(paint(f"{counted(total, 'record is', 'records are')} {what}", RED))
    for record, number in records[:SHOWN]:
        times = f" ({number} times)" if number > 1 else ""
        say("  " + " | ".join(value or "" for value in record) + times)
    _rest(len(records), "of them")


def _rest(number: int, what: str) -> None:
    if number > SHOWN:
        say(f"  … {number - SHOWN:,} more {what}")


def _time(microseconds: int) -> str:
    return f"{_moment(microseconds):%Y-%m-%d %H:%M}"


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / SECOND, UTC)
