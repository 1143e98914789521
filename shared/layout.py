"""Says in which folder and under which name a row or a dead letter is stored."""

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from shared.envelope import Source
from shared.settings import Format

ROWS_PER_FILE = 1_000_000

_HOUR = 3_600_000_000
_FOREIGN = re.compile(rb"[^a-z0-9-]")


@dataclass(frozen=True, slots=True)
class Partition:
    """The rows of one hour, or a part of them."""

    date: str
    """`YYYY-MM-DD`, UTC."""
    hour: str
    """`00` to `23`, UTC."""
    part: int | None
    """Counts from 0 where ROWS_PER_FILE splits the hour; None: it does not."""
    table: pa.Table


def split(table: pa.Table, by: str = "TimeGenerated") -> list[Partition]:
    """Every row in the partition of its hour, which come in order of time; rows keep their order inside.

    Args:
        table: Any table.
        by: A column of it, of type timestamp[us, UTC], without nulls.

    Raises:
        ValueError: The column has nulls, which belong to no hour.
    """
    if not table.num_rows:
        return []
    if table[by].null_count:
        raise ValueError(f"expected a time in every row, came {table[by].null_count} nulls in {by}")
    hours = table[by].cast(pa.int64()).to_numpy() // _HOUR
    if (hours[1:] < hours[:-1]).any():
        order = np.argsort(hours, kind="stable")
        table, hours = table.take(pa.array(order)), hours[order]
    bounds = [0, *(np.flatnonzero(np.diff(hours)) + 1).tolist(), len(hours)]
    return [
        partition
        for start, end in zip(bounds, bounds[1:], strict=False)
        for partition in _parts(
            int(hours[start]) * _HOUR, table if end - start == len(hours) else table.slice(start, end - start)
        )
    ]


def folder(format: Format, table_name: str, date: str, hour: str) -> str:  # noqa: A002 - the word of the design
    """Folder of a table's partition: `parquet/<table>/date=2026-11-20/hour=10/`."""
    return f"{format}/{table_name}/date={date}/hour={hour}/"


def dead_letter_folder(enqueued_us: int) -> str:
    """Folder of the dead letters that reached the hub then (µs since 1970 UTC).

    Spark, Hive and their friends skip names that begin with `_`.
    """
    date, hour = _date_and_hour(enqueued_us)
    return f"_dead_letters/date={date}/hour={hour}/"


def file_name(
    source: Source, incarnation: int, first: int, last: int, commit_id: str, part: int | None, extension: str
) -> str:
    """`<namespace>-<hub>-<id>-i<incarnation>-<first>-<last>-<commit id>[-part].<extension>`.

    The namespace goes without its domain. What is not of `a-z`, `0-9` and `-` in the source goes as `~` and
    two hexadecimal digits for each of its UTF-8 bytes. The first sequence number has 20 digits, so that names
    of a source sort by it.
    """
    origin = "-".join(_escaped(part) for part in (source.namespace.partition(".")[0], source.hub, source.id))
    suffix = "" if part is None else f"-{part:05d}"
    return f"{origin}-i{incarnation}-{first:020d}-{last}-{commit_id}{suffix}.{extension}"


def _parts(time: int, table: pa.Table) -> list[Partition]:
    date, hour = _date_and_hour(time)
    if table.num_rows <= ROWS_PER_FILE:
        return [Partition(date, hour, None, table)]
    starts = range(0, table.num_rows, ROWS_PER_FILE)
    return [
        Partition(date, hour, part, table.slice(start, ROWS_PER_FILE)) for part, start in enumerate(starts)
    ]


def _date_and_hour(time: int) -> tuple[str, str]:
    date, _, hour = str(np.datetime64(time // _HOUR, "h")).partition("T")
    return date, hour


def _escaped(name: str) -> str:
    return _FOREIGN.sub(lambda found: b"~%02x" % found[0], name.encode("utf-8", "surrogatepass")).decode(
        "ascii"
    )
