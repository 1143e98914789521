"""Decides which connections are finished and what to write for them. Pure: the clock is passed in."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.arrays import Array
from shared.connections.manifest import EventNameCounts
from shared.connections.observations import NEVER, UNKNOWN, ranked
from shared.connections.state_table import STATE_TABLE, key_of
from shared.policies import FinishPolicy
from shared.tables.connection_revisions import CONNECTIONS
from shared.timeunits import HOUR, microseconds

UNCLOSED_KEPT = timedelta(days=7)
"""How long a connection that was finished without a closing event can be revised."""
FAILURE = "fail"
"""A connection failed if the name of its closing event contains this."""

WRITTEN = CONNECTIONS.arrow.append(pa.field("folder", pa.timestamp("us", "UTC"), nullable=False))
"""A row to write, and the time that decides its folder, which Revision 0 fixes."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The event names that open and close a connection, in lower case."""

    opening: frozenset[str]
    closing: frozenset[str]

    @property
    def names(self) -> frozenset[str]:
        """All names that open or close a connection."""
        return self.opening | self.closing

    @classmethod
    def of(cls, policy: FinishPolicy) -> "Vocabulary":
        """Returns the vocabulary that the settings declare."""
        return cls(_lower(policy.opening), _lower(policy.closing))


@dataclass(frozen=True, slots=True)
class Finished:
    """The result of finishing rows of the state table at one time of the clock."""

    written: pa.Table
    """Rows to write, with the schema WRITTEN."""
    kept: pa.Table
    """The rows that stay in the state table."""
    due: int
    """The clock (µs since 1970 UTC) at which the first of the kept rows must be finished or dropped."""
    names: Mapping[str, EventNameCounts] = field(default_factory=dict)
    """Counts of event names in the rows that were written with Revision 0."""
    capped: int = 0


def finish(
    rows: pa.Table, policy: FinishPolicy, clock: int, *, quiet: bool, room: int, commit_id: str
) -> Finished:
    """Finishes connections that are due, and drops those that can no longer be revised.

    A connection with a closing event is finished once no record has arrived for the grace time. Any other is
    finished once none has arrived for the idle time, or for the quiet time if `quiet` says that no closing
    events are known (see Manifest.quiet). Times are compared with `clock` (µs since 1970 UTC). At most `room`
    rows are kept: the oldest ones are dropped first, and finished ones before others.

    `commit_id` has 32 hexadecimal digits and is new for each commit. A row keeps the id of the commit that
    wrote its Revision 0 as CommitId. That distinguishes it from rows of the same connection that are written
    after the connection was dropped.
    """
    if not rows.num_rows:
        return Finished(WRITTEN.empty_table(), rows, UNKNOWN)
    facts = _Facts.of(rows, Vocabulary.of(policy))
    closed = facts.closing >= 0
    revision, pending, shown = (np.asarray(rows[name]) for name in ("revision", "pending", "closed"))
    # The settings, and with them whether a connection is closed, may have changed since it was written.
    pending = pending | ((revision >= 0) & (closed != shown))
    idle = min(policy.idle, policy.quiet) if quiet else policy.idle
    seen = np.asarray(rows["last_seen"])
    finish_at = seen + np.where(closed, microseconds(min(policy.grace, policy.idle)), microseconds(idle))
    drop_at = seen + np.where(
        closed, microseconds(max(policy.late, policy.grace)), microseconds(UNCLOSED_KEPT)
    )
    write = pending & (finish_at <= clock)
    drop = (write | ~pending) & (drop_at <= clock)
    over = int((~drop).sum()) - room
    if over > 0:
        left = np.flatnonzero(~drop)
        let_go = left[np.lexsort((seen[left], pending[left] & ~write[left]))[:over]]
        drop[let_go] = True
        write |= drop & pending
    first = write & (revision < 0)
    revision = revision + write
    folder = np.where(first, np.asarray(rows["last"]), np.asarray(rows["folder"]))
    since = np.where(first, np.asarray(rows["first_seen"]), np.asarray(rows["since"]))
    pending = pending & ~write
    changed = {
        "revision": revision.astype(np.int32),
        "pending": pending,
        "closed": np.where(write, closed, shown),
        "folder": folder,
        "since": since,
        "written_by": pc.if_else(
            pa.array(first), pa.scalar(bytes.fromhex(commit_id), pa.binary(16)), rows["written_by"]
        ),
    }
    columns = [changed.get(name, rows[name]) for name in STATE_TABLE.names]
    rows = pa.table(columns, schema=STATE_TABLE)
    due = np.where(pending, finish_at, drop_at)[~drop].min(initial=UNKNOWN)
    return Finished(
        written=_written(rows, facts, np.flatnonzero(write), quiet=quiet),
        kept=rows.filter(pa.array(~drop)) if drop.any() else rows,
        due=int(due),
        names=_seen(facts, first, seen),
        capped=max(0, over),
    )


@dataclass(frozen=True, slots=True)
class _Facts:
    """Facts from the event names of rows. Positions are indexes in the list of all names; -1 means none."""

    texts: list[str]
    code: Array
    """For each name, its index in `texts`."""
    parent: Array
    """For each name, the index of its row."""
    first: Array
    last: Array
    reported: Array
    earliest: Array
    """For each row, the position of the name of its first record."""
    latest: Array
    opening: Array
    """For each row, the position of its first opening name."""
    closing: Array
    """For each row, the position of its last closing name."""
    is_closing: Array

    @classmethod
    def of(cls, rows: pa.Table, vocabulary: Vocabulary) -> "_Facts":
        lists = rows["names"].combine_chunks()
        lists = pa.concat_arrays(lists.chunks) if isinstance(lists, pa.ChunkedArray) else lists
        lengths = np.asarray(lists.value_lengths())
        starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
        parent = np.repeat(np.arange(len(lengths)), lengths)
        flat = lists.flatten()
        code, texts = ranked(flat.field("name"))
        names = texts.to_pylist()
        first, last = np.asarray(flat.field("first")), np.asarray(flat.field("last"))
        is_opening = np.array([name.lower() in vocabulary.opening for name in names], bool)[code]
        is_closing = np.array([name.lower() in vocabulary.closing for name in names], bool)[code]

        def pick(reduce: Any, values: Array, nothing: int) -> Array:
            best = reduce.reduceat(values, starts)
            at = np.where(
                (values == best[parent]) & (values != nothing), np.arange(len(values)), reduce_none[reduce]
            )
            found: Array = reduce.reduceat(at, starts)
            return np.where(best == nothing, -1, found)

        # The names of a row are sorted. If times are equal, the first or the last name in that order counts.
        reduce_none = {np.minimum: UNKNOWN, np.maximum: -1}
        return cls(
            texts=names,
            code=code,
            parent=parent,
            first=first,
            last=last,
            reported=np.asarray(flat.field("reported").fill_null(np.nan)),
            earliest=pick(np.minimum, first, UNKNOWN),
            latest=pick(np.maximum, last, NEVER),
            opening=pick(np.minimum, np.where(is_opening, first, UNKNOWN), UNKNOWN),
            closing=pick(np.maximum, np.where(is_closing, last, NEVER), NEVER),
            is_closing=is_closing,
        )

    def name(self, positions: Array) -> pa.Array:
        """Returns the names at these positions, and null for -1."""
        return pa.array(self.texts, pa.string()).take(pa.array(self.code[positions], mask=positions < 0))


def _written(rows: pa.Table, facts: _Facts, at: Array, *, quiet: bool) -> pa.Table:
    """Returns the rows to write for the connections at these indexes."""
    if not len(at):
        return WRITTEN.empty_table()
    longest = np.full(rows.num_rows, np.nan)
    closings = np.flatnonzero(facts.is_closing & ~np.isnan(facts.reported))
    np.fmax.at(longest, facts.parent[closings], facts.reported[closings])
    rows, opening, closing, longest = (
        rows if len(at) == rows.num_rows else rows.take(pa.array(at)),
        facts.opening[at],
        facts.closing[at],
        longest[at],
    )
    start, end, came, went = (np.asarray(rows[name]) for name in ("first", "last", "first_seen", "last_seen"))
    spread = end - start
    backwards = (opening >= 0) & (closing >= 0) & (facts.last[closing] < facts.first[opening])
    indeterminate = (spread == 0) | backwards | (went - came - spread > HOUR)
    reported = np.nan_to_num(longest, nan=-1.0) >= spread / 1000
    duration = np.where(reported, longest, np.where(indeterminate, np.nan, spread / 1000))
    fails = np.array([FAILURE in name.lower() for name in facts.texts], bool)
    failed = np.asarray(rows["Error"].is_valid()) | fails[facts.code[closing]]
    how = np.where(closing < 0, 2 if quiet else 3, np.where(failed, 1, 0))
    times = {"StartTime": start, "EndTime": end, "FirstSeen": np.asarray(rows["since"]), "LastSeen": went}
    columns: dict[str, Any] = {
        "DurationMs": pa.array(duration, from_pandas=True),
        "DurationSource": _choice(
            ["event_times", "reported", "indeterminate"], np.where(reported, 1, 2 * indeterminate)
        ),
        "ArrivalDurationMs": (went - np.asarray(rows["since"])) / 1000,
        "Status": _choice(["closed", "failed", "quiet", "timed_out"], how),
        "EventCount": rows["count"],
        "OpeningEvent": facts.name(opening),
        "ClosingEvent": facts.name(closing),
        "CommitId": _hexadecimal(rows, "written_by"),
        "Revision": rows["revision"],
        **{name: _time(values) for name, values in times.items()},
        "folder": _time(np.asarray(rows["folder"])),
    }
    return pa.table(
        [columns.get(name, rows[name] if name in rows.column_names else None) for name in WRITTEN.names],
        schema=WRITTEN,
    )


def _hexadecimal(rows: pa.Table, name: str) -> pa.Array:
    """Returns a column of 16 bytes as text of 32 hexadecimal digits."""
    digits = key_of(rows, name).tobytes().hex().encode()
    ends = np.arange(rows.num_rows + 1, dtype=np.int32) * 32
    return pa.StringArray.from_buffers(rows.num_rows, pa.py_buffer(ends), pa.py_buffer(digits))


def _seen(facts: _Facts, rows: Array, arrived: Array) -> dict[str, EventNameCounts]:
    """Counts how often each name occurs in these rows, comes first and last, and when it last arrived."""
    if not rows.any():
        return {}
    size = len(facts.texts)
    found = np.bincount(facts.code[rows[facts.parent]], minlength=size).tolist()
    first = np.bincount(facts.code[facts.earliest[rows]], minlength=size).tolist()
    last = np.bincount(facts.code[facts.latest[rows]], minlength=size).tolist()
    latest = np.full(size, -1)
    np.maximum.at(latest, facts.code[rows[facts.parent]], arrived[facts.parent[rows[facts.parent]]])
    arrivals = latest.tolist()
    return {
        name: EventNameCounts(connections=found[n], first=first[n], last=last[n], newest=arrivals[n])
        for n, name in enumerate(facts.texts)
        if found[n]
    }


def newest(observations: pa.Table) -> dict[str, EventNameCounts]:
    """Returns, for each event name, when the newest record of a connection with that name arrived."""
    lists = observations["names"].combine_chunks()
    code, texts = ranked(lists.flatten().field("name"))
    seen = np.repeat(np.asarray(observations["last_seen"]), np.asarray(lists.value_lengths()))
    found = np.full(len(texts), -1)
    np.maximum.at(found, code, seen)
    return {
        name: EventNameCounts(newest=int(time)) for name, time in zip(texts.to_pylist(), found, strict=True)
    }


def _choice(names: list[str], which: Array) -> pa.Array:
    return pa.array(names).take(pa.array(which))


def _time(values: Array) -> pa.Array:
    return pa.array(values).cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))


def _lower(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)
