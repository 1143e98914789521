"""Folds the records of connections into observations, and says how old each was at a record's time. Pure.

Times in observations are microseconds since 1970 UTC. Folding is associative and commutative, so that it does
not matter which commit saw what; it is not idempotent, as it counts: each record must come in once.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

type Array = np.ndarray[Any, Any]

UNKNOWN = np.iinfo(np.int64).max
NEVER = np.iinfo(np.int64).min
FORMAT = b"1"
MAX_NAMES = 8
"""Distinct event names that an observation keeps: the first ones by name, whatever order they came in."""
MAX_TEXT = 256
"""Characters of an event name or another text that an observation keeps; the record itself has all."""
LAST = ("Error", "Source", "Destination", "Region", "_SubscriptionId")
"""Columns of which the last value counts: the maximum by (time, value) of those that are not null."""

NAMES = pa.list_(
    pa.struct(
        [
            pa.field("name", pa.string(), nullable=False),
            pa.field("first", pa.int64(), nullable=False),
            pa.field("last", pa.int64(), nullable=False),
            pa.field("count", pa.int64(), nullable=False),
            pa.field("reported", pa.float64()),
        ]
    )
)
"""The event names of a connection, sorted; `reported`: the longest duration that its records state, in ms."""

OBSERVATIONS = pa.schema(
    [
        pa.field("_ResourceId", pa.string()),
        pa.field("CorrelationId", pa.string(), nullable=False),
        pa.field("first", pa.int64(), nullable=False),
        pa.field("last", pa.int64(), nullable=False),
        pa.field("first_seen", pa.int64(), nullable=False),
        pa.field("last_seen", pa.int64(), nullable=False),
        pa.field("count", pa.int64(), nullable=False),
        pa.field("names", NAMES, nullable=False),
        *(pa.field(name, pa.string()) for name in LAST),
        *(pa.field(f"{name} at", pa.int64(), nullable=False) for name in LAST),
    ],
    metadata={"format": FORMAT},
)
"""One row per connection: first and last time and arrival (`_seen`), count of records, names, last values."""


class Starts(Protocol):
    """What is known of when connections began."""

    def earliest(self, observations: pa.Table) -> Array:
        """The earliest known time of each observation's connection, µs since 1970 UTC; UNKNOWN: none."""


def enrich(table: pa.Table, known: Starts) -> tuple[pa.Table, pa.Table]:
    """The table with its derived columns, and one observation for each of its connections.

    ConnectionStartTime is the earliest time known: of this table or of `known`. ConnectionDurationMs is the
    record's time minus that, a lower bound of the connection's duration. It is null where that time is the
    record's own: one time measures nothing, and 0 would say that something was measured. So it is for opening
    events too: which names open a connection is the timer's to say.
    """
    if not table.num_rows:
        return table, OBSERVATIONS.empty_table()
    groups = connections(table)
    observations = fold(_singles(table), groups)
    times = _ints(table["TimeGenerated"])
    starts = np.minimum(known.earliest(observations), _ints(observations["first"]))[groups]
    start = pa.array(starts).cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    duration = pa.array((times - starts) / 1000, mask=times == starts)
    for name, column in (("ConnectionStartTime", start), ("ConnectionDurationMs", duration)):
        index = table.schema.get_field_index(name)
        table = table.set_column(index, table.schema.field(index), column)
    return table, observations


def merge(tables: Sequence[pa.Table]) -> pa.Table:
    """One observation for each connection in these tables of observations."""
    table = pa.concat_tables([OBSERVATIONS.empty_table(), *tables])
    return fold(table, connections(table))


def connections(table: pa.Table) -> Array:
    """The connection of each row of a table of records or observations, as a number from 0 on."""
    codes = [
        np.asarray(table[name].combine_chunks().dictionary_encode(null_encoding="encode").indices, np.int64)
        for name in ("_ResourceId", "CorrelationId")
    ]
    if not table.num_rows:
        return codes[0]
    groups: Array = np.unique(codes[0] * (codes[1].max() + 1) + codes[1], return_inverse=True)[1]
    return groups


def keys(observations: pa.Table) -> Array:
    """A key for each connection: 128 bits of a hash of `_ResourceId` and CorrelationId, as numpy's S16.

    A cryptographic hash: ids are copied from clients, which must not be able to make two connections one.
    """
    resources = observations["_ResourceId"].combine_chunks().dictionary_encode(null_encoding="encode")
    prefixes = [
        hashlib.blake2b(b"" if one is None else b"\0" + one.encode(), digest_size=16).digest()
        for one in resources.dictionary.to_pylist()
    ]
    ids = observations["CorrelationId"].cast(pa.binary()).to_pylist()
    digests = [
        hashlib.blake2b(prefixes[code] + one, digest_size=16).digest()
        for code, one in zip(resources.indices.to_pylist(), ids, strict=True)
    ]
    return np.frombuffer(b"".join(digests), "S16")


def fold(table: pa.Table, groups: Array) -> pa.Table:
    """Observations folded into one per group, in order of the groups: numbers from 0 on, none left out."""
    if not table.num_rows:
        return table
    table = table.combine_chunks()
    order = np.argsort(groups, kind="stable")
    groups = groups[order]
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    columns: dict[str, Any] = {}
    for name in ("_ResourceId", "CorrelationId"):
        columns[name] = table[name].take(pa.array(order[starts]))
    for name, reduce in _REDUCE.items():
        columns[name] = pa.array(reduce.reduceat(_ints(table[name])[order], starts))
    columns["names"] = _names(table["names"].chunk(0), order, groups)
    for name in LAST:
        columns[name], columns[f"{name} at"] = _last(
            table[name], _ints(table[f"{name} at"])[order], order, groups, starts
        )
    return pa.table([columns[name] for name in OBSERVATIONS.names], schema=OBSERVATIONS)


_REDUCE = {
    "first": np.minimum,
    "last": np.maximum,
    "first_seen": np.minimum,
    "last_seen": np.maximum,
    "count": np.add,
}


def ranked(values: pa.ChunkedArray | pa.Array) -> tuple[Array, pa.Array]:
    """Each text as a number that sorts as it does (-1: null), and the texts by number."""
    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    encoded = values.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    rank = np.empty(len(order) + 1, np.int64)
    rank[np.asarray(order)] = np.arange(len(order))
    rank[-1] = -1
    return rank[np.asarray(pc.fill_null(encoded.indices, -1))], encoded.dictionary.take(order)


def _singles(table: pa.Table) -> pa.Table:
    """Records as observations, one each."""
    rows = table.num_rows
    times, seen, one = _ints(table["TimeGenerated"]), _ints(table["_EnqueuedTime"]), np.ones(rows, np.int64)
    reported = np.asarray(table["ReportedDurationMs"].combine_chunks().cast(pa.float64()).fill_null(np.nan))
    reported = np.where(np.isfinite(reported) & (reported >= 0), reported, np.nan)
    name = pc.utf8_slice_codeunits(table["EventName"].combine_chunks(), 0, MAX_TEXT)
    parts = [name, pa.array(times), pa.array(times), pa.array(one), pa.array(reported, from_pandas=True)]
    columns: dict[str, Any] = {
        "_ResourceId": table["_ResourceId"],
        "CorrelationId": table["CorrelationId"],
        "first": times,
        "last": times,
        "first_seen": seen,
        "last_seen": seen,
        "count": one,
        "names": _lists(np.arange(rows + 1), parts),
    }
    for last in LAST:
        columns[last] = pc.utf8_slice_codeunits(table[last], 0, MAX_TEXT)
        columns[f"{last} at"] = np.where(np.asarray(table[last].is_null()), NEVER, times)
    return pa.table([columns[name] for name in OBSERVATIONS.names], schema=OBSERVATIONS)


def _names(lists: pa.ListArray, order: Array, groups: Array) -> pa.ListArray:
    """The lists of names of each group in one; `groups` belongs to the lists in `order`."""
    lists = lists.take(pa.array(order))
    parent = groups[np.asarray(pc.list_parent_indices(lists))]
    flat = lists.flatten()
    rank, texts = ranked(flat.field("name"))
    pairs, of = np.unique(parent * len(texts) + rank, return_inverse=True)
    by_pair = np.argsort(of, kind="stable")
    starts = np.flatnonzero(np.diff(of[by_pair], prepend=-1))
    reported = np.asarray(flat.field("reported").fill_null(np.nan))[by_pair]
    folded = {
        name: reduce.reduceat(np.asarray(flat.field(name))[by_pair], starts)
        for name, reduce in (("first", np.minimum), ("last", np.maximum), ("count", np.add))
    }
    group, name = pairs // len(texts), pairs % len(texts)
    # Which names are kept must not depend on the order of folding: the first ones by name, not by time.
    begins = np.flatnonzero(np.diff(group, prepend=-1))
    kept = np.arange(len(group)) - begins[group] < MAX_NAMES
    parts = [
        texts.take(pa.array(name[kept])),
        *(pa.array(folded[one][kept]) for one in ("first", "last", "count")),
        pa.array(np.fmax.reduceat(reported, starts)[kept], from_pandas=True),
    ]
    return _lists(np.searchsorted(group[kept], np.arange(len(begins) + 1)), parts)


def _lists(offsets: Array, parts: Sequence[Any]) -> pa.ListArray:
    values = pa.StructArray.from_arrays(parts, fields=list(NAMES.value_type))
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, type=NAMES)


def _last(values: Any, at: Array, order: Array, groups: Array, starts: Array) -> tuple[Any, Any]:
    """Of each group the value with the maximum of (time, value), and that time; `at` is in `order`."""
    rank, texts = ranked(values)
    newest = np.maximum.reduceat(at, starts)
    best = np.maximum.reduceat(np.where(at == newest[groups], rank[order], -1), starts)
    return texts.take(pa.array(best, mask=best < 0)), pa.array(newest)


def _ints(column: Any) -> Array:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return np.asarray(array.cast(pa.int64()))


def dump(table: pa.Table) -> bytes:
    """As the bytes of a state blob: an Arrow IPC file, zstd."""
    sink = pa.BufferOutputStream()
    # Handing small buffers to other threads takes longer than packing them.
    options = pa.ipc.IpcWriteOptions(compression="zstd", use_threads=False)
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def load(data: bytes, columns: Sequence[int] | None = None) -> pa.Table:
    """The table that `dump` wrote, or those of its columns that have these places."""
    options = pa.ipc.IpcReadOptions(use_threads=False, included_fields=columns)
    return pa.ipc.open_file(data, options=options).read_all()
