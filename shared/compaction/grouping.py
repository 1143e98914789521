"""Chooses the folders to list and the files of an hour to merge into one. Pure."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from shared.compaction.own_files import is_own
from shared.connections.finishing import UNCLOSED_KEPT
from shared.policies import CompactionPolicy
from shared.protocol.storage import BlobInfo
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.registry import TABLES, of_categories
from shared.tables.table import Table
from shared.timeunits import DAY, HOUR, MINUTE, SECOND

RATIO = 4
"""A file is merged with smaller ones if it is at most this many times as large as all of them together."""
FILES = 1000
"""Maximum files that one swap replaces: readers see rows twice while these files are being deleted."""
ORIGINS = 5000
"""Maximum exported files that one file may replace in total: its footer lists them all."""
ROWS = 5_000_000
"""Maximum rows of one swap: its time depends on them, and the host kills a run that takes ten minutes."""
SLOT = 10 * MINUTE
"""Microseconds between two runs of the timer."""
ROUND = 18
"""Number of runs that it takes to list each day before yesterday once."""

_SLACK = timedelta(days=1)


def days(now: int, policy: CompactionPolicy, others: Sequence[Table] = ()) -> Iterator[str]:
    """Yields the prefixes of folders to list now: today, yesterday, and, in turn, older days.

    They reach back as far as a late record can; older folders are left alone. For `others`, the tables whose
    category is not exported, all of these days are listed.
    """
    tables = (*of_categories(policy.categories), CONNECTIONS)
    reach = policy.reach + UNCLOSED_KEPT + _SLACK
    for age in range(-(-reach // timedelta(days=1)) + 1):
        date = str(np.datetime64((now - age * DAY) // DAY, "D"))
        if age <= 1 or age % ROUND == now // SLOT % ROUND:
            yield from (f"parquet/{table.name}/date={date}/" for table in tables)
        yield from (f"parquet/{table.name}/date={date}/" for table in others)


def not_exported(now: int, policy: CompactionPolicy) -> list[Table]:
    """Returns tables whose category is not exported, which may have old files, in one run of each round."""
    if now // SLOT % ROUND:
        return []
    exported = {table.name for table in (*of_categories(policy.categories), CONNECTIONS)}
    return [table for name, table in TABLES.items() if name not in exported]


def mergeable(folder: str, files: Sequence[BlobInfo], now: int, quiet: int) -> list[BlobInfo]:
    """Returns the files of an hour that may be merged now: none until the hour is over and quiet.

    Leased files are left alone: they could not be deleted, and their swap would block all others.

    Args:
        folder: `…/date=2026-11-20/hour=10/`.
        files: its files in a listing.
        now: µs since 1970 UTC.
        quiet: time in µs after which calls that their sender abandoned have either arrived or never will.
    """
    own = [file for file in files if file.visible and is_own(file)]
    exported = [file for file in own if "compacted" not in file.metadata]
    if now < _end(folder) or any(_committed(file) > now - quiet for file in exported):
        return []
    return [file for file in own if _committed(file) <= now - quiet and not file.leased]


def groups(files: Sequence[BlobInfo], target: int) -> Iterator[list[BlobInfo]]:
    """Yields groups of files to merge, each into one file.

    A group consists of files smaller than half the target. It takes the smallest ones first, as many as fit,
    but none that is much larger than all smaller ones together. Therefore, a large file is not rewritten for
    each late row, but only once the late rows amount to a quarter of it. If n rows arrive individually, each
    is written O(log n) times.
    """
    small = sorted((one for one in files if 2 * one.size < target), key=lambda one: (one.size, one.name))
    while small:
        below = origins = rows = best = 0
        for number, file in enumerate(small[:FILES], 1):
            origins += _origins(file)
            rows += int(file.metadata["rows"])
            if below + file.size > target or origins > ORIGINS or rows > ROWS:
                break
            if file.size <= RATIO * below:
                best = number
            below += file.size
        if best:
            yield small[:best]
        # A file that does not fit with any other stays, and must not prevent larger ones from being merged.
        small = small[best or 1 :]


def _committed(file: BlobInfo) -> int:
    return int(file.metadata["committed_at"])


def _origins(file: BlobInfo) -> int:
    return int(file.metadata.get("compacted", "1"))


def _end(folder: str) -> int:
    """Returns when the hour of a folder ends (µs since 1970 UTC); the far future if its name has no hour."""
    hour = "/".join(folder.split("/")[-3:-1])
    try:
        began = datetime.strptime(hour, "date=%Y-%m-%d/hour=%H").replace(tzinfo=UTC)
    except ValueError:
        return 1 << 62
    return round(began.timestamp()) * SECOND + HOUR
