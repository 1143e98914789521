"""Checks the exported data against the ground truth."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from local.traffic.connections import Flags, Ints
from local.traffic.truth import ROW, Truth

EXAMPLES = 5
"""Maximum number of quoted examples of each difference."""
TIME = pa.timestamp("us", "UTC")
ROWS = pa.schema(
    {
        "_EventHubPartition": pa.string(),
        "_SequenceNumber": pa.int64(),
        "_RecordIndex": pa.int64(),
        "_ResourceId": pa.string(),
        "CorrelationId": pa.string(),
        "EventName": pa.string(),
        "TimeGenerated": TIME,
    }
)
CONNECTIONS = pa.schema(
    {
        "_ResourceId": pa.string(),
        "CorrelationId": pa.string(),
        "CommitId": pa.string(),
        "StartTime": TIME,
        "EndTime": TIME,
        "EventCount": pa.int64(),
        "Revision": pa.int64(),
    }
)
VALUES = {
    "_ResourceId": "resource_id",
    "CorrelationId": "correlation_id",
    "EventName": "event_name",
    "TimeGenerated": "time",
}
"""Names of columns in rows, and in the truth."""
INDEX_BITS, SEQUENCE_BITS = 14, 40
NOWHERE = -1

type Key = tuple[str | None, str | None]
"""Resource id and CorrelationId."""
type Rows = pa.Table | Iterable[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Records:
    """How exported rows differ from the truth."""

    expected: int
    rows: int
    lost: int
    """Expected rows that are missing."""
    duplicated: int
    """Rows that occur more often than expected."""
    unexpected: int
    """Rows from an envelope or a record that must not become a row, or that was never sent."""
    wrong: int
    """Rows with a wrong resource id, correlation id, event name or time."""
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Rejections by reason, and skipped records: expected and actual numbers, if they differ."""
    examples: list[str] = field(default_factory=list)

    @property
    def exact(self) -> bool:
        """Whether nothing differs."""
        return not (self.lost or self.duplicated or self.unexpected or self.wrong or self.counts)


@dataclass(frozen=True, slots=True)
class Connections:
    """How the newest revisions of connections differ from the truth."""

    connections: int
    exact: int
    """Connections whose start, end and event count equal the truth, to the microsecond."""
    wrong: int
    missing: int
    split: int
    """Connections with several values of CommitId. They are exact if their combined rows are."""
    unknown: int
    """Connections that do not exist in the truth."""
    duplicated: int
    """Rows with the same CommitId, revision and connection as another row."""
    examples: list[str] = field(default_factory=list)


def check(
    truth: Truth,
    rows: Rows,
    *,
    outcome: str = ROW,
    rejected: Mapping[str, int] | int | None = None,
    skipped: int | None = None,
) -> Records:
    """Compares exported rows with the truth.

    Args:
        truth: what was sent; its `first_sequences` give the first sequence numbers.
        rows: the rows, with the columns of `ROWS`; the last part of `_EventHubPartition` is the partition id.
        outcome: the kind of records: `ROW`, or one of `OTHER_ROWS`, whose rows have no event name.
        rejected: the number of rejections, by reason or in total; None: not compared.
        skipped: the number of records of other categories; None: not compared.
    """
    names = [name for name in VALUES if outcome == ROW or name != "EventName"]
    schema = pa.schema([one for one in ROWS if one.name not in VALUES.keys() - {*names}])
    table, good = _table(rows, schema), truth.good(outcome)
    partitions = {name: code for code, name in enumerate(good["partition"].unique().to_pylist())}
    begins = np.array([truth.first_sequences.get(name, 0) for name in partitions] or [0], np.int64)
    partition = _codes(good["partition"], partitions)
    wanted = _keys(
        partition, good["position"].to_numpy() + begins[partition], good["record_index"].to_numpy()
    )
    partition_ids = pc.replace_substring_regex(table["_EventHubPartition"], ".*/", "")
    found = _keys(
        _codes(partition_ids, partitions),
        table["_SequenceNumber"].to_numpy(),
        table["_RecordIndex"].to_numpy(),
    )

    order = np.argsort(wanted)
    place = np.searchsorted(wanted, found, sorter=order)
    hit = place < len(wanted)
    hit[hit] = wanted[order[place[hit]]] == found[hit]
    matched = order[place[hit]]
    times = np.bincount(matched, minlength=len(wanted))
    expected, actual = good.take(pa.array(matched)), table.filter(pa.array(hit))
    differs = np.zeros(len(matched), bool)
    for column in names:
        unequal = pc.not_equal(actual[column], expected[VALUES[column]].cast(ROWS.field(column).type))
        differs |= pc.fill_null(unequal, fill_value=True).to_numpy()
    return Records(
        expected=len(wanted),
        rows=table.num_rows,
        lost=int((times == 0).sum()),
        duplicated=int((times - 1).clip(0).sum()),
        unexpected=int((~hit).sum()),
        wrong=int(differs.sum()),
        counts=_count_differences(truth, rejected, skipped),
        examples=[
            *_examples("lost", good, times == 0),
            *_examples("duplicated", good, times > 1),
            *_examples("unexpected", table, ~hit),
            *_examples("wrong", actual, differs),
        ],
    )


def _table(rows: Rows, schema: pa.Schema) -> pa.Table:
    if not isinstance(rows, pa.Table):
        found = [dict(row) for row in rows]
        rows = pa.Table.from_pylist(found) if found else schema.empty_table()
    return rows.select(schema.names).cast(schema)


def _codes(names: pa.ChunkedArray, known: Mapping[str, int]) -> Ints:
    codes = pc.index_in(names.cast(pa.string()), pa.array(list(known), pa.string()))
    found: Ints = pc.fill_null(codes, NOWHERE).to_numpy().astype(np.int64)
    return found


def _keys(partition: Ints, sequence: Ints, index: Ints) -> Ints:
    """Returns one number for each position in a hub; `NOWHERE` for positions that no traffic has."""
    possible = (partition >= 0) & (sequence >= 0) & (index >= 0)
    possible &= (sequence < 1 << SEQUENCE_BITS) & (index < 1 << INDEX_BITS)
    keys = (partition << SEQUENCE_BITS | sequence) << INDEX_BITS | index
    return np.where(possible, keys, NOWHERE)


def _count_differences(
    truth: Truth, rejected: Mapping[str, int] | int | None, skipped: int | None
) -> dict[str, tuple[int, int]]:
    wanted, found = dict(truth.rejected), {}
    if isinstance(rejected, int):
        wanted, found = {"rejected": sum(wanted.values())}, {"rejected": rejected}
    elif rejected is not None:
        found = dict(rejected)
    else:
        wanted = {}
    if skipped is not None:
        wanted["skipped"], found["skipped"] = truth.skipped, skipped
    names = sorted(wanted.keys() | found.keys())
    pairs = {name: (wanted.get(name, 0), found.get(name, 0)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _examples(what: str, table: pa.Table, chosen: Flags) -> list[str]:
    places = pa.array(np.flatnonzero(chosen)[:EXAMPLES])
    return [f"{what}: {row}" for row in table.take(places).to_pylist()]


def check_durations(truth: Truth, connections: Rows) -> Connections:
    """Compares the newest revisions of connections, with the columns of `CONNECTIONS`, with the truth."""
    table = _table(connections, CONNECTIONS)
    for name in ("StartTime", "EndTime"):
        table = table.set_column(table.column_names.index(name), name, table[name].cast(pa.int64()))
    newest: dict[Key, dict[object, Revision]] = {}
    duplicated = 0
    for resource, correlation, commit_id, *facts, revision in zip(
        *(table[name].to_pylist() for name in CONNECTIONS.names), strict=True
    ):
        revisions = newest.setdefault((resource, correlation), {})
        known = revisions.get(commit_id)
        duplicated += known is not None and known.number == revision
        if known is None or known.number < revision:
            revisions[commit_id] = Revision(revision, *facts)

    outcomes: Counter[str] = Counter()
    examples = []
    for key, *facts in _facts(truth):
        rows = newest.pop(key, {}).values()
        outcome = "missing" if not rows else "exact" if _together(rows) == facts else "wrong"
        outcomes[outcome] += 1
        outcomes["split"] += len(rows) > 1
        if outcome != "exact" and outcomes[outcome] <= EXAMPLES:
            examples.append(f"{outcome}: {key}, expected (start, end, events) {facts}, got {list(rows)}")
    examples += [f"unknown: {key}" for key in list(newest)[:EXAMPLES]]
    return Connections(
        connections=outcomes["exact"] + outcomes["wrong"] + outcomes["missing"],
        exact=outcomes["exact"],
        wrong=outcomes["wrong"],
        missing=outcomes["missing"],
        split=outcomes["split"],
        unknown=len(newest),
        duplicated=duplicated,
        examples=examples,
    )


class Revision(NamedTuple):
    """One row of a connection; times in microseconds since 1970-01-01 UTC."""

    number: int
    start: int | None
    end: int | None
    events: int | None


def _facts(truth: Truth) -> Iterator[tuple[Key, int, int, int]]:
    table = truth.connections()
    columns = ("resource_id", "correlation_id", "first_time", "last_time", "event_count")
    for resource, correlation, *facts in zip(*(table[name].to_pylist() for name in columns), strict=True):
        first, last, events = facts
        yield (resource, correlation), first, last, events


def _together(rows: Iterable[Revision]) -> list[int]:
    """Returns start, end and count of all rows of a connection; empty if one of them lacks a value."""
    starts, ends, events = zip(*(row[1:] for row in rows), strict=True)
    if None in (*starts, *ends, *events):
        return []
    return [min(starts), max(ends), sum(events)]
