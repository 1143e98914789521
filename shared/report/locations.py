"""Finds the files for each day of a time range, in storage or in a local copy of the container."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Protocol

from shared.convert.folder_storage import FolderStorage
from shared.errors import FileGone, ReportError, StorageError
from shared.input.hub_partition import is_of_hub
from shared.matching.sample import Files
from shared.protocol.storage import BlobInfo, Storage
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import HOUR, SECOND

MARGIN = 24 * HOUR
"""How far outside the range to look for connections, because a late record moves their end."""
PARALLEL = 8
HOURS = "date=*/hour=*/"
"""The folders of each table. Other folders are not read."""
FOLDERS = {
    "connections": f"parquet/{CONNECTIONS.name}/",
    "records": f"parquet/{RECORDS.name}/",
    "letters": "_dead_letters/",
}
MONTHLY, YEARLY = timedelta(days=31), timedelta(days=1500)

type ListingProgress = Callable[[int], None]
"""Receives the number of files seen so far."""


@dataclass(frozen=True, slots=True)
class Range:
    """A time range from `since` (inclusive) to `until` (exclusive), in µs since 1970 UTC."""

    since: int
    until: int


@dataclass(frozen=True, slots=True)
class ReportFile:
    """An output file."""

    table: str
    """A key of FOLDERS."""
    name: str
    size: int
    hour: int
    """The hour of its folder (µs since 1970 UTC)."""
    committed: int | None
    """When it was committed, if known (µs since 1970 UTC)."""


@dataclass(slots=True)
class Day:
    """The files of one date."""

    files: dict[str, list[ReportFile]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The total size of the files in bytes."""
        return sum(file.size for files in self.files.values() for file in files)


class Location(Protocol):
    """The location of the output."""

    @property
    def dead_letters(self) -> bool:
        """Whether dead letters can be read; without them, rejections are unknown."""

    def find(self, range_: Range, listed: ListingProgress) -> dict[date, Day]:
        """Returns the files of the range by date, with connections from MARGIN before to MARGIN after it."""

    @property
    def files(self) -> Files:
        """All files, to take samples of."""

    def earliest(self) -> int | None:
        """Returns the first hour that has a record."""

    def fetch(self, files: Sequence[ReportFile], to: Path, fetched: Callable[[], None]) -> list[Path]:
        """Makes files of one table readable locally, in order; copies in the folder `to` can be deleted.

        Calls `fetched` for each. Raises FileGone.
        """


class Container:
    """The output container, through the storage client."""

    def __init__(self, storage: Storage, *, dead_letters: bool = True) -> None:
        self._storage = storage
        self.dead_letters = dead_letters

    @property
    def files(self) -> Files:
        """See Location."""
        return self._storage

    def find(self, range_: Range, listed: ListingProgress) -> dict[date, Day]:
        """See Location."""

        def stored() -> Iterator[BlobInfo]:
            for key, prefix in FOLDERS.items():
                if key == "letters" and not self.dead_letters:
                    continue
                for dates in _prefixes(_wanted(prefix, range_)):
                    yield from self._storage.outputs(prefix + dates)

        files = (_file(one.name, one.size, _committed(one)) for one in stored() if one.visible)
        return _by_date(files, range_, listed)

    def earliest(self) -> int | None:
        """See Location."""
        for one in self._storage.outputs(f"{FOLDERS['records']}date="):
            file = _file(one.name, one.size, None)
            if file:
                return file.hour
        return None

    def fetch(self, files: Sequence[ReportFile], to: Path, fetched: Callable[[], None]) -> list[Path]:
        """See Location."""

        def one(at: int, file: ReportFile) -> Path:
            target = to / f"{file.table}-{at}"
            try:
                target.write_bytes(self._storage.part(file.name, 0, file.size) if file.size else b"")
            except StorageError as error:
                if self._storage.exists(file.name):
                    raise
                raise FileGone(f"{file.name} was deleted or compacted in the meantime; try again") from error
            return target

        paths = []
        with ThreadPoolExecutor(PARALLEL, thread_name_prefix="report") as pool:
            for path in pool.map(one, range(len(files)), files):
                paths.append(path)
                fetched()
        return paths


class Folder:
    """A copy of the output container on this machine."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise ReportError(f"{root} is not a folder with a copy of the output container")
        self._root = root
        self.dead_letters = (root / FOLDERS["letters"]).is_dir()

    @property
    def files(self) -> Files:
        """See Location."""
        return FolderStorage(self._root, self._root)

    def find(self, range_: Range, listed: ListingProgress) -> dict[date, Day]:
        """See Location."""
        paths = (path for prefix in FOLDERS.values() for path in (self._root / prefix).glob(HOURS + "*.*"))
        files = (
            _file(path.relative_to(self._root).as_posix(), path.stat().st_size, None)
            for path in paths
            if path.is_file()
        )
        return _by_date(files, range_, listed)

    def earliest(self) -> int | None:
        """See Location."""
        paths = (self._root / FOLDERS["records"]).glob(HOURS + "*.parquet")
        files = (_file(path.relative_to(self._root).as_posix(), 0, None) for path in paths)
        return min((file.hour for file in files if file), default=None)

    def fetch(self, files: Sequence[ReportFile], to: Path, fetched: Callable[[], None]) -> list[Path]:
        """See Location. Creates links, because DuckDB could read a name as a pattern."""
        paths = []
        for at, file in enumerate(files):
            target = to / f"{file.table}-{at}"
            target.symlink_to((self._root / file.name).resolve())
            paths.append(target)
            fetched()
        return paths


_PLACE = re.compile(r"(.+/)date=(\d{4}-\d\d-\d\d)/hour=(\d\d)/[^/]+\.(parquet|jsonl\.gz)")


def _file(name: str, size: int, committed: int | None) -> ReportFile | None:
    """Returns the output file with this name, or None if it is not part of the report."""
    found = _PLACE.fullmatch(name)
    table = next((key for key, prefix in FOLDERS.items() if found and found[1] == prefix), None)
    if not (found and table):
        return None
    hour = datetime.fromisoformat(f"{found[2]}T{found[3]}:00:00+00:00")
    return ReportFile(table, name, size, int(hour.timestamp()) * SECOND, committed)


def _committed(file: BlobInfo) -> int | None:
    """Returns when a file was committed; None for compacted files, replays and archives."""
    metadata = file.metadata
    own = metadata.get("commit_id", "-") in file.name and is_of_hub(metadata.get("partition", "~"))
    return int(metadata["committed_at"]) if own and metadata.get("committed_at", "").isdigit() else None


def _by_date(files: Iterable[ReportFile | None], range_: Range, listed: ListingProgress) -> dict[date, Day]:
    days: dict[date, Day] = {}
    for seen, file in enumerate(files):
        listed(seen)
        if file is None:
            continue
        wanted = _wanted(FOLDERS[file.table], range_)
        if wanted.since - HOUR < file.hour < wanted.until:
            day = days.setdefault(datetime.fromtimestamp(file.hour // SECOND, UTC).date(), Day())
            day.files.setdefault(file.table, []).append(file)
    return dict(sorted(days.items()))


def _wanted(prefix: str, range_: Range) -> Range:
    margin = MARGIN if prefix == FOLDERS["connections"] else 0
    return Range(range_.since - margin, range_.until + margin)


def _prefixes(range_: Range) -> Iterator[str]:
    """Yields the prefixes of the range's folders: by day, by month, or for all."""
    first, last = (
        datetime.fromtimestamp(time // SECOND, UTC).date() for time in (range_.since, range_.until)
    )
    if last - first > YEARLY:
        yield ""
        return
    length = len("2026-11") if last - first > MONTHLY else len("2026-11-20")
    days = (first + timedelta(days=one) for one in range((last - first).days + 1))
    yield from (f"date={one}" for one in dict.fromkeys(day.isoformat()[:length] for day in days))
