"""The state of a Delta log at one version: live files, tombstones, metadata. Pure data."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

PATH = re.compile(r"(date=(\d{4}-\d\d-\d\d))/hour=(\d\d)/[A-Za-z0-9~.-]+\.parquet")
"""The paths of data files that this program writes; it logs no others."""
SCHEMA_VERSION = "apimWebsocketLogs.schemaVersion"
"""Key of a table's configuration; its presence shows that this program created the log."""


@dataclass(frozen=True, slots=True)
class LoggedFile:
    """A data file as the log describes it; times are µs since 1970 UTC."""

    size: int
    """The size in bytes."""
    committed_at: int
    rows: int
    first: int = 0
    """The earliest value of the table's time column; 0 if unknown."""
    last: int = 0
    """The latest value of that column."""
    since: int = -1
    """The version in which it was added, or the checkpoint that it was read from."""

    def added_in(self, version: int) -> "LoggedFile":
        """Returns the same file with another `since`; `dataclasses.replace` takes ten times as long."""
        return LoggedFile(self.size, self.committed_at, self.rows, self.first, self.last, version)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A file that was removed from the table."""

    at: int
    """When it was removed (µs since 1970 UTC)."""
    swapped: bool
    """Whether compaction replaced it, so that its rows are in another file."""
    kept: bool
    """Whether it stays in its folder for readers of older snapshots."""


@dataclass(frozen=True, slots=True)
class Add:
    """A file becomes part of the table."""

    path: str
    file: LoggedFile
    swapped: bool = False


@dataclass(frozen=True, slots=True)
class Remove:
    """A file ceases to be part of the table."""

    path: str
    tombstone: Tombstone


@dataclass(frozen=True, slots=True)
class Metadata:
    """The table's `metaData` action."""

    values: Mapping[str, Any]

    @property
    def schema_version(self) -> int | None:
        """The version of this program's schema; None if another program created the table."""
        found = self.values.get("configuration", {}).get(SCHEMA_VERSION, "")
        return int(found) if str(found).isdecimal() else None


@dataclass(frozen=True, slots=True)
class Swept:
    """All folders of the table were compared with the log."""

    at: int
    """When the comparison began, µs since 1970 UTC."""


type Action = Add | Remove | Metadata | Swept


@dataclass(slots=True)
class Snapshot:
    """The table at one version; versions are applied to it in order."""

    version: int = -1
    metadata: Metadata | None = None
    live: dict[str, dict[str, LoggedFile]] = field(default_factory=dict)
    """The live files by day (`date=2026-11-20`), then by path."""
    tombstones: dict[str, Tombstone] = field(default_factory=dict)
    swept_at: int = 0
    """When the last complete comparison began, µs since 1970 UTC; 0 if there was none."""
    checkpoint: int = -1
    """The version of the checkpoint that was read."""
    checkpointed_at: int = 0
    """When that checkpoint was written, µs since 1970 UTC."""

    def apply(self, actions: Iterable[Action], version: int) -> None:
        """Advances the snapshot to this version by applying its actions."""
        for action in actions:
            match action:
                case Add(path, file):
                    self.live.setdefault(day_of(path), {})[path] = file.added_in(version)
                    self.tombstones.pop(path, None)
                case Remove(path, tombstone):
                    self.live.get(day_of(path), {}).pop(path, None)
                    self.tombstones[path] = tombstone
                case Metadata():
                    self.metadata = action
                case Swept(at):
                    self.swept_at = at
        self.version = version

    def is_live(self, path: str) -> bool:
        """Whether the file is part of the table."""
        return path in self.live.get(day_of(path), {})

    def knows(self, path: str) -> bool:
        """Whether the file is part of the table, or was."""
        return self.is_live(path) or path in self.tombstones

    @property
    def files(self) -> int:
        """Returns the number of live files."""
        return sum(map(len, self.live.values()))


def day_of(path: str) -> str:
    """Returns the day of a path, such as `date=2026-11-20`."""
    return path.partition("/")[0]


def partition_values(path: str) -> dict[str, str]:
    """Returns the values of the partition columns `date` and `hour`. Raises ValueError for other paths."""
    found = PATH.fullmatch(path)
    if not found:
        raise ValueError(f"{path!r} is not date=…/hour=…/….parquet")
    return {"date": found[2], "hour": found[3]}
