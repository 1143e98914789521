"""Determines the folder and file name under which a row or dead letter is stored."""

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from shared.arrays import integers, run_starts
from shared.input.hub_partition import HubPartition
from shared.protocol.storage import DEAD_LETTERS
from shared.timeunits import HOUR

ROWS_PER_FILE = 1_000_000

_HOUR = re.compile(r"/date=(\d{4}-\d\d-\d\d)/hour=(\d\d)/")
_FOREIGN = re.compile(rb"[^a-z0-9-]")


@dataclass(frozen=True, slots=True)
class FolderRows:
    """The rows of one hour, or a part of them."""

    date: str
    """`YYYY-MM-DD`, UTC."""
    hour: str
    """`00` to `23`, UTC."""
    part: int | None
    """Counts from 0 if the hour is split into several files; otherwise None."""
    table: pa.Table


def split(table: pa.Table, by: str = "TimeGenerated", rows_per_file: int = ROWS_PER_FILE) -> list[FolderRows]:
    """Splits a table by hour, in order of time. Rows keep their order within an hour.

    Args:
        table: any table.
        by: a column of type timestamp[us, UTC], without nulls.
        rows_per_file: an hour with more rows is split into several parts.

    Raises:
        ValueError: the column has nulls, which belong to no hour.
    """
    if not table.num_rows:
        return []
    if table[by].null_count:
        raise ValueError(f"expected a time in every row, got {table[by].null_count} nulls in {by}")
    hours = integers(table[by]) // HOUR
    if (hours[1:] < hours[:-1]).any():
        order = np.argsort(hours, kind="stable")
        table, hours = table.take(pa.array(order)), hours[order]
    groups = []
    for start, end in pairwise([*run_starts(hours).tolist(), len(hours)]):
        date, hour = _date_and_hour(int(hours[start]))
        if end - start == len(hours) <= rows_per_file:
            groups.append(FolderRows(date, hour, None, table))
            continue
        starts = range(start, end, rows_per_file)
        groups += [
            FolderRows(
                date, hour, part if len(starts) > 1 else None, table.slice(at, min(rows_per_file, end - at))
            )
            for part, at in enumerate(starts)
        ]
    return groups


def is_delta_log(name: str) -> bool:
    """Whether an output blob belongs to a table's Delta log, and holds no rows."""
    return "/_delta_log/" in name


def times(table: pa.Table, by: str) -> str:
    """Returns the earliest and latest value of a time column, in µs since 1970 UTC: `1900000000000000-…`.

    This is the metadata `times` of a file, from which the statistics of a Delta log are derived.
    """
    values = integers(table[by])
    return f"{values.min()}-{values.max()}"


def folder(format: str, table_name: str, date: str, hour: str) -> str:  # noqa: A002 - the word of the design
    """Returns the folder of an hour of a table: `parquet/<table>/date=2026-11-20/hour=10/`."""
    return f"{format}/{table_name}/date={date}/hour={hour}/"


def hour_of(name: str) -> int | None:
    """Returns when the hour of a file's folder begins (µs since 1970 UTC); None if its name has no hour."""
    found = _HOUR.search(name)
    return int(np.datetime64(f"{found[1]}T{found[2]}", "h").astype(np.int64)) * HOUR if found else None


def dead_letter_folder(enqueued_us: int) -> str:
    """Returns the folder of dead letters that reached the hub at this time (µs since 1970 UTC).

    Spark, Hive and similar readers skip names that begin with `_`.
    """
    date, hour = _date_and_hour(enqueued_us // HOUR)
    return f"{DEAD_LETTERS}/date={date}/hour={hour}/"


def file_name(
    partition: HubPartition,
    incarnation: int,
    first: int,
    last: int,
    commit_id: str,
    part: int | None,
    extension: str,
) -> str:
    """Returns `<namespace>-<hub>-<id>-i<incarnation>-<first>-<last>-<commit id>[-part].<extension>`.

    The namespace has no domain. Each UTF-8 byte of the partition that is not in `a-z`, `0-9` and `-` is
    written as `~` and two hexadecimal digits. The first sequence number has 20 digits, so that the names of
    a partition sort by it.
    """
    origin = "-".join(
        _escaped(part) for part in (partition.namespace.partition(".")[0], partition.hub, partition.id)
    )
    suffix = "" if part is None else f"-{part:05d}"
    return f"{origin}-i{incarnation}-{first:020d}-{last}-{commit_id}{suffix}.{extension}"


def _date_and_hour(hours: int) -> tuple[str, str]:
    """Formats a number of hours since 1970 UTC."""
    date, _, hour = str(np.datetime64(hours, "h")).partition("T")
    return date, hour


def _escaped(name: str) -> str:
    return _FOREIGN.sub(
        lambda found: b"~" + found[0].hex().encode(), name.encode("utf-8", "surrogatepass")
    ).decode("ascii")
