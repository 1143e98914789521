"""Compares two sets of the same records: counts by minute, and the records as a multiset. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.arrays import integers
from shared.timeunits import MINUTE

MILLISECOND = 1000
"""Microseconds to which times are truncated: exports of the portal have milliseconds."""
HASHED = r"^[0-9a-f]{32}$"

type Record = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Minute:
    """A minute whose counts differ."""

    at: int
    """When the minute begins (µs since 1970 UTC)."""
    export: int
    container: int


@dataclass(slots=True)
class Comparison:
    """The differences between export and container."""

    export: int = 0
    """Rows of the export."""
    container: int = 0
    """Rows of the container in the same range."""
    minutes: list[Minute] = field(default_factory=list)
    """Minutes whose counts differ, in order."""
    columns: list[str] = field(default_factory=list)
    """Columns by which records are compared."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Columns that cannot be compared, and why."""
    missing: list[tuple[Record, int]] = field(default_factory=list)
    """Records of the export that the container lacks, with their number, in order."""
    extra: list[tuple[Record, int]] = field(default_factory=list)
    """Records of the container that the export lacks."""
    suspects: dict[str, int] = field(default_factory=dict)
    """By column, how many records would match if it were left out."""

    @property
    def same(self) -> bool:
        """Whether nothing is missing and nothing is extra."""
        return not (self.minutes or self.missing or self.extra)


def compare(
    export: pa.Table,
    rows: pa.Table,
    time_column: str,
    *,
    removed: Mapping[str, str] | None = None,
    ignored: Sequence[str] = (),
) -> Comparison:
    """Compares rows of an export with those of the container.

    Args:
        export: the export's columns, redacted like the container's.
        rows: the same columns of the container, in the same time range.
        time_column: the name of the time column, which must not have nulls.
        removed: columns that the settings hash or drop and that cannot be compared, with the reason.
        ignored: columns that the caller leaves out.
    """
    done = Comparison(export.num_rows, rows.num_rows)
    done.minutes = _minutes(export[time_column], rows[time_column])
    for name in export.column_names:
        reason = (removed or {}).get(name) or _incomparable(name, export[name], rows[name], ignored)
        if reason and name != time_column:
            done.left_out[name] = reason
        else:
            done.columns.append(name)
    mine, theirs = _records(rows, done.columns, time_column), _records(export, done.columns, time_column)
    done.missing, done.extra = _without(theirs, mine), _without(mine, theirs)
    if done.missing and done.extra:
        done.suspects = _suspects(done, time_column)
    return done


def _minutes(export: pa.ChunkedArray, rows: pa.ChunkedArray) -> list[Minute]:
    found, held = (
        Counter((integers(times.combine_chunks()) // MINUTE * MINUTE).tolist()) if len(times) else Counter()
        for times in (export, rows)
    )
    return [Minute(at, found[at], held[at]) for at in sorted({*found, *held}) if found[at] != held[at]]


def _incomparable(
    name: str, export: pa.ChunkedArray, rows: pa.ChunkedArray, ignored: Sequence[str]
) -> str | None:
    """Returns why a column cannot be compared, or None if it can."""
    if name in ignored:
        return "left out with --ignore"
    if not len(rows) or not len(export):
        return None
    if rows.null_count == len(rows) and export.null_count < len(export):
        return "empty in the container: the hub's records lack it, or DROP_COLUMNS removed it"
    if export.null_count == len(export) and rows.null_count < len(rows):
        return "empty in the export"
    if rows.type == pa.string() and _hashed(rows) and not _hashed(export):
        return "hashed in the container; set HASH_COLUMNS and HASH_KEY as in the function app"
    return None


def _hashed(column: pa.ChunkedArray) -> bool:
    values = column.drop_null()
    return len(values) > 0 and bool(pc.all(pc.match_substring_regex(values, HASHED)).as_py())


def _records(table: pa.Table, columns: Sequence[str], time_column: str) -> Counter[Record]:
    texts = []
    for name in columns:
        column = table[name].combine_chunks()
        if name == time_column:
            cut = integers(column) // MILLISECOND * MILLISECOND if len(column) else np.zeros(0, np.int64)
            column = pa.array(cut).cast(pa.timestamp("us")).cast(pa.timestamp("ms"))
        text = column.cast(pa.string())
        # Azure Monitor writes resource ids in any letter case; an empty text is null in CSV.
        text = pc.utf8_lower(text) if name.startswith("_") else text
        texts.append([value or None for value in text.to_pylist()])
    return Counter(zip(*texts, strict=True))


def _without(records: Counter[Record], others: Counter[Record]) -> list[tuple[Record, int]]:
    return sorted((records - others).items(), key=lambda one: tuple(value or "" for value in one[0]))


def _suspects(done: Comparison, time_column: str) -> dict[str, int]:
    """Counts, by column, the records that differ only in that column."""
    found: dict[str, int] = {}
    for at, name in enumerate(done.columns):
        if name == time_column:
            continue
        missing, extra = (
            sum(
                (Counter({record[:at] + record[at + 1 :]: number}) for record, number in records),
                Counter[Record](),
            )
            for records in (done.missing, done.extra)
        )
        if matches := (missing & extra).total():
            found[name] = matches
    return found
