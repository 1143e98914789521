"""Reads and writes the actions of one version of a Delta log as JSON lines. Pure.

Source: github.com/delta-io/delta, PROTOCOL.md, protocol versions 1 (readers) and 2 (writers).
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from shared import __version__
from shared.delta.snapshot import (
    Action,
    Add,
    LoggedFile,
    Metadata,
    Remove,
    Swept,
    Tombstone,
    partition_values,
)
from shared.errors import DeltaLogError
from shared.timeunits import DAY

PROTOCOL = {"minReaderVersion": 1, "minWriterVersion": 2}
"""The protocol versions before table features, which every reader of Delta tables supports."""
SWEEP = "apim-websocket-logs.sweep"
"""Application id of the `txn` action that records when all folders were compared with the log."""
KEPT = "kept"
"""Tag of a removed file that stays in its folder for readers of older snapshots."""
MILLISECOND = 1000
_OTHER = "another program wrote to this Delta log; see docs/delta.md"


def encode(actions: Sequence[Action], operation: str, now: int, time_column: str) -> bytes:
    """Encodes one version. `operation` is its name in the table's history; `now` is µs since 1970 UTC."""
    info = {
        "timestamp": now // MILLISECOND,
        "operation": operation,
        "engineInfo": f"apim-websocket-logs/{__version__}",
    }
    lines: list[dict[str, Any]] = [{"commitInfo": info}]
    if any(isinstance(action, Metadata) for action in actions):
        lines.append({"protocol": PROTOCOL})
    lines += (as_dict(action, time_column) for action in actions)
    return b"\n".join(map(orjson.dumps, lines)) + b"\n"


def as_dict(action: Action, time_column: str) -> dict[str, Any]:
    """Returns an action with the field names of the protocol."""
    match action:
        case Add(path, file, swapped):
            return {
                "add": {
                    "path": path,
                    "partitionValues": partition_values(path),
                    "size": file.size,
                    "modificationTime": file.committed_at // MILLISECOND,
                    "dataChange": not swapped,
                    "stats": _stats(file, time_column),
                }
            }
        case Remove(path, tombstone):
            tags = {"tags": {KEPT: "true"}} if tombstone.kept else {}
            return {
                "remove": {
                    "path": path,
                    "deletionTimestamp": tombstone.at // MILLISECOND,
                    "dataChange": not tombstone.swapped,
                    **tags,
                }
            }
        case Metadata(values):
            return {"metaData": dict(values)}
        case Swept(at):
            return {"txn": {"appId": SWEEP, "version": at // DAY, "lastUpdated": at // MILLISECOND}}


def decode(data: bytes, time_column: str) -> Iterator[Action]:
    """Decodes one version. Raises DeltaLogError if it is damaged, or written by another program."""
    for line in data.splitlines():
        try:
            (item,) = orjson.loads(line).items()
            yield from from_dict(item[0], item[1], time_column)
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise DeltaLogError(f"unexpected line {line[:80]!r}: {error}") from error


def from_dict(name: str, values: dict[str, Any], time_column: str) -> Iterable[Action]:
    """Parses an action of the protocol. Raises DeltaLogError, or KeyError or the like for a bad field."""
    match name:
        case "add":
            if values.get("deletionVector") or values["partitionValues"] != partition_values(values["path"]):
                raise DeltaLogError(f"{values['path']}: {_OTHER}")
            rows, first, last = _of_stats(values.get("stats"), time_column)
            committed_at = values["modificationTime"] * MILLISECOND
            return [Add(values["path"], LoggedFile(values["size"], committed_at, rows, first, last))]
        case "remove":
            kept = (values.get("tags") or {}).get(KEPT) == "true"
            at = (values.get("deletionTimestamp") or 0) * MILLISECOND
            partition_values(values["path"])
            return [Remove(values["path"], Tombstone(at, not values["dataChange"], kept))]
        case "metaData":
            return [Metadata(values)]
        case "txn":
            return [Swept(values["lastUpdated"] * MILLISECOND)] if values["appId"] == SWEEP else []
        case "protocol":
            if {key: values[key] for key in PROTOCOL} != PROTOCOL:
                raise DeltaLogError(f"protocol {values}: {_OTHER}")
            return []
        case "commitInfo":
            return []
    raise DeltaLogError(f"action {name}: {_OTHER}")


def _stats(file: LoggedFile, time_column: str) -> str:
    """Returns statistics, with the minimum rounded down to milliseconds, and the maximum rounded up."""
    stats: dict[str, Any] = {"numRecords": file.rows}
    if file.last:
        stats["minValues"] = {time_column: _time(file.first)}
        stats["maxValues"] = {time_column: _time(file.last + MILLISECOND - 1)}
        stats["nullCount"] = {time_column: 0}
    return orjson.dumps(stats).decode()


def _of_stats(text: str | None, time_column: str) -> tuple[int, int, int]:
    """Parses the number of rows, and the first and last time."""
    stats = orjson.loads(text or "{}")
    rows = stats.get("numRecords", 0)
    try:
        return (
            rows,
            _microseconds(stats["minValues"][time_column]),
            _microseconds(stats["maxValues"][time_column]),
        )
    except KeyError:
        return rows, 0, 0


def _time(microseconds: int) -> str:
    seconds, rest = divmod(microseconds // MILLISECOND, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def _microseconds(text: str) -> int:
    time = datetime.fromisoformat(text)
    return int(time.timestamp()) * 1_000_000 + time.microsecond
