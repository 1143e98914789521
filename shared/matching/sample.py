"""Counts how many rows of a sample have a counterpart in the table that a view joins to theirs.

Only the data can show whether the ids of two categories match. The sample consists of the rows with the
lowest ids of the newest settled hour. To keep this fast enough for a command that is run often, it reads only
ids and times of the joined table, and only the row groups that can have these ids.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from shared.audit import contents
from shared.errors import StorageError
from shared.output import layout
from shared.protocol.storage import BlobInfo
from shared.tables.registry import TABLES
from shared.tables.table import JOIN_MARGIN, Join, Table
from shared.timeunits import DAY, HOUR, SECOND
from shared.wording import counted

ROWS = 1000
"""Maximum number of rows in a sample."""
REACH = 3 * HOUR
"""How long before the sampled hour its connections may have begun (µs); limits the folders that are read."""
SETTLED = HOUR
"""The time after the end of an hour in which most records of both tables arrive (µs)."""
HOURS = 12
"""Number of hours that are tried, newest first."""
FILES = 300
"""Maximum number of files of the joined table that are read; an hour with more is not sampled."""
TRIES = 3
"""Maximum number of attempts while compaction replaces the listed files."""
PARALLEL = 8

type Identity = tuple[Any, ...]
type Span = tuple[int, int]
"""The earliest and latest time that the joined row may have (µs since 1970 UTC)."""


class Files(Protocol):
    """Reads the output; see `shared.protocol.storage.Storage`."""

    def outputs(self, prefix: str) -> Iterator[BlobInfo]:
        """See Storage."""

    def part(self, name: str, offset: int, length: int) -> bytes:
        """See Storage."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The number of rows of one hour, and of those with a counterpart."""

    view: str
    """The view that joins them."""
    table: str
    """The joined table."""
    hour: int
    """Start of the hour (µs since 1970 UTC)."""
    rows: int
    """Number of sampled rows."""
    matched: int
    """Number of sampled rows that have a counterpart."""

    @property
    def sentence(self) -> str:
        """Returns a sentence for people."""
        hour = datetime.fromtimestamp(self.hour // SECOND, UTC)
        none = "" if self.matched else " The ids of the two tables may not be the same."
        return (
            f"{self.matched:,} of {counted(self.rows, 'sampled connection')} that ended in the hour"
            f" from {hour:%Y-%m-%d %H:%M}Z have a row in {self.table} with their _ResourceId and"
            f" CorrelationId.{none}"
        )


def samples(files: Files, until: int) -> list[Sample]:
    """Returns a sample for each join whose tables both have files.

    Args:
        files: the output.
        until: the sampled hour is on the day of this time or on the day before (µs since 1970 UTC).

    Raises:
        StorageError: a storage call failed.
        DamagedFile: a file was changed after it was written.
    """
    found = (_sample(files, table, table.join, until) for table in TABLES.values() if table.join)
    return [sample for sample in found if sample]


def _sample(files: Files, table: Table, join: Join, until: int) -> Sample | None:
    days = (until - DAY, until)
    if not any(True for day in days for _ in _listed(files, table, day)):
        return None
    found = {layout.hour_of(file.name) for day in days for file in _listed(files, join.left, day)}
    hours = sorted(hour for hour in found if hour is not None)
    settled = [hour for hour in hours if hour + HOUR + SETTLED <= until]
    for hour in (settled or [hour for hour in hours if hour < until])[: -HOURS - 1 : -1]:
        for attempt in range(TRIES):
            try:
                sample = _of_hour(files, table, join, hour)
            except StorageError:
                if attempt == TRIES - 1:
                    raise
            else:
                if sample:
                    return sample
                break
    return None


def _of_hour(files: Files, table: Table, join: Join, hour: int) -> Sample | None:
    """Returns None if the hour has no rows, or no files of the joined table, or too many."""
    spans = _spans(files, join, hour)
    if not spans:
        return None
    first, last = min(begin for begin, _ in spans.values()), max(end for _, end in spans.values())
    hours = range(first // HOUR * HOUR, last + 1, HOUR)
    listed = {one: [*_listed(files, table, one, hourly=True)] for one in hours}
    number = sum(map(len, listed.values()))
    if not 0 < number <= FILES:
        return None
    # Earlier connections began before the joined table was exported.
    exported = min(one for one in hours if listed[one])
    spans = {one: span for one, span in spans.items() if span[0] + JOIN_MARGIN >= exported}
    if not spans:
        return None
    column = table.sort_key[0]
    ids = sorted(identity[join.identity.index(column)] for identity in spans)

    def matches(file: BlobInfo) -> set[Identity]:
        return {
            identity
            for *identity_, time in _rows(files, file, (*join.identity, table.time_column), column, ids)
            for identity in [tuple(identity_)]
            if None not in identity and identity in spans and spans[identity][0] <= time <= spans[identity][1]
        }

    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="matching") as pool:
        matched = set[Identity]().union(*pool.map(matches, itertools.chain(*listed.values())))
    return Sample(join.view, table.name, hour, len(spans), len(matched))


def _spans(files: Files, join: Join, hour: int) -> dict[Identity, Span]:
    """Returns, for each sampled identity, the time span of possible counterparts."""
    columns = [*join.identity, join.begin, join.end]
    key = join.left.sort_key[0]
    whole: pa.Table | None = None
    for file in _listed(files, join.left, hour, hourly=True):
        with contents.parquet_file(files, file) as opened:
            table = _plain(opened.read(columns=columns), columns)
        table = table.filter(pc.greater_equal(table[join.begin], hour - REACH))
        both = pa.concat_tables([whole, table]) if whole else table
        whole = both.sort_by([(key, "ascending"), *((name, "ascending") for name in columns)]).slice(0, ROWS)
    found: dict[Identity, Span] = {}
    for *names, begin, end in _tuples(whole) if whole else ():
        known = found.get(tuple(names), (begin, end))
        found[tuple(names)] = min(known[0], begin), max(known[1], end)
    return {one: (begin - JOIN_MARGIN, end + JOIN_MARGIN) for one, (begin, end) in found.items()}


def _rows(
    files: Files, file: BlobInfo, columns: Sequence[str], key: str, wanted: Sequence[str]
) -> Iterable[tuple[Any, ...]]:
    """Returns the rows of a file whose `key` is among the wanted values (sorted)."""
    with contents.parquet_file(files, file) as opened:
        at = opened.schema_arrow.get_field_index(key)
        groups = [
            one
            for one in range(opened.num_row_groups)
            if _may_have(opened.metadata.row_group(one).column(at), wanted)
        ]
        table = _plain(opened.read_row_groups(groups, columns=list(columns)), columns)
    return _tuples(table.filter(pc.is_in(table[key], pa.array(wanted, table[key].type))))


def _plain(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Returns these columns in order, with times in µs since 1970 UTC."""
    types = {pa.timestamp("us", "UTC"): pa.int64()}
    chosen = table.select(columns)
    return chosen.cast(pa.schema([(one.name, types.get(one.type, one.type)) for one in chosen.schema]))


def _tuples(table: pa.Table) -> Iterable[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


def _may_have(column: Any, wanted: Sequence[str]) -> bool:
    """Whether a row group may hold a value between the first and the last of the wanted (sorted) values."""
    limits = column.statistics
    return not (limits and limits.has_min_max) or bool(limits.min <= wanted[-1] and wanted[0] <= limits.max)


def _listed(files: Files, table: Table, time: int, *, hourly: bool = False) -> Iterator[BlobInfo]:
    """Returns the Parquet files of a table in the folders of a day or an hour."""
    moment = datetime.fromtimestamp(time // SECOND, UTC)
    folder = layout.folder("parquet", table.name, f"{moment:%Y-%m-%d}", f"{moment:%H}" if hourly else "")
    prefix = folder if hourly else folder.removesuffix("/")
    return (file for file in files.outputs(prefix) if file.visible and file.name.endswith(".parquet"))
