"""Folds a connection's records into observations, and computes its duration so far. Pure.

Times in observations are microseconds since 1970 UTC. Folding is associative and commutative, so the order
of commits does not matter. It is not idempotent, because it counts: each record must be folded exactly once.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.arrays import Array, integers, run_starts, whole
from shared.connections.text_limits import bounded, cut
from shared.errors import DamagedFile

UNKNOWN = np.iinfo(np.int64).max
NEVER = np.iinfo(np.int64).min
FORMAT = b"1"
MAX_NAMES = 8
"""Maximum number of distinct event names in an observation. The first ones in alphabetical order are kept."""
NO_NAME = ""
"""Represents the missing EventName of a record. It neither opens nor closes a connection."""
LAST = ("Error", "Source", "Destination", "Region", "_SubscriptionId")
"""Columns of which the last value is kept: among values that are not null, the maximum by (time, value)."""

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
"""The event names of a connection, sorted. `reported`: the longest duration that its records state (ms)."""

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
"""One row per connection: first and last time and arrival (`_seen`), record count, names, last values."""


class StartTimeLookup(Protocol):
    """Looks up when connections began."""

    def earliest(self, observations: pa.Table) -> tuple[Array, Array]:
        """Returns the earliest known time and arrival of each observation's connection.

        Both in µs since 1970 UTC; UNKNOWN where none is known.
        """


def enrich(table: pa.Table, known: StartTimeLookup) -> tuple[pa.Table, pa.Table]:
    """Fills the derived columns of a table of records, and returns one observation for each connection.

    ConnectionStartTime is the earliest time in this table or in `known`. ConnectionDurationMs is the record's
    time minus that: a lower bound of the connection's duration. It is null instead of 0, because a single
    time does not measure a duration. This also applies to opening events, because only the timer knows which
    names open a connection. ConnectionArrivalDurationMs is the record's arrival minus the earliest known
    arrival.
    """
    if not table.num_rows:
        return table, OBSERVATIONS.empty_table()
    groups = connection_numbers(table)
    observations = _observed(table, groups)
    times, arrivals = integers(table["TimeGenerated"]), integers(table["_EnqueuedTime"])
    known_times, known_arrivals = known.earliest(observations)
    starts = np.minimum(known_times, integers(observations["first"]))[groups]
    seen = np.minimum(known_arrivals, integers(observations["first_seen"]))[groups]
    derived = {
        "ConnectionStartTime": pa.array(starts).view(table.schema.field("ConnectionStartTime").type),
        "ConnectionDurationMs": pa.array((times - starts) / 1000, mask=times == starts),
        "ConnectionArrivalDurationMs": pa.array((arrivals - seen) / 1000),
    }
    for name, column in derived.items():
        index = table.schema.get_field_index(name)
        table = table.set_column(index, table.schema.field(index), column)
    return table, observations


def merge(tables: Sequence[pa.Table]) -> pa.Table:
    """Folds tables of observations into one observation for each connection."""
    table = pa.concat_tables([OBSERVATIONS.empty_table(), *tables])
    return fold(table, connection_numbers(table))


def connection_numbers(table: pa.Table) -> Array:
    """Returns the connection of each row of a table of records or observations, numbered from 0."""
    resources, ids = (
        whole(table[name]).dictionary_encode(null_encoding="encode")
        for name in ("_ResourceId", "CorrelationId")
    )
    groups = np.asarray(ids.indices, np.int64)
    if len(resources.dictionary) > 1:
        both = groups * len(resources.dictionary) + np.asarray(resources.indices)
        groups = np.asarray(pa.array(both).dictionary_encode().indices, np.int64)
    return groups


def keys(observations: pa.Table) -> Array:
    """Returns a key for each connection: a 128-bit hash of `_ResourceId` and CorrelationId, as numpy's S16.

    The hash is cryptographic, because clients choose ids and must not be able to merge two connections.
    """
    resources = whole(observations["_ResourceId"]).dictionary_encode(null_encoding="encode")
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
    """Folds observations into one per group, in the order of the groups, which are numbered without gaps."""
    if not table.num_rows:
        return table
    columns = {name: whole(table[name]) for name in table.column_names}
    lists = columns["names"]
    names = {field.name: lists.flatten().field(field.name) for field in NAMES.value_type}
    return _folded(columns, groups, names, groups[np.asarray(pc.list_parent_indices(lists))])


def _observed(table: pa.Table, groups: Array) -> pa.Table:
    """Folds records into one observation per group."""
    columns = {name: whole(table[name]) for name in ("_ResourceId", "CorrelationId", *LAST)}
    columns |= {name: bounded(columns[name]) for name in ("_ResourceId", "CorrelationId")}
    times, seen = integers(table["TimeGenerated"]), integers(table["_EnqueuedTime"])
    one = np.ones_like(groups)
    columns |= {"first": times, "last": times, "first_seen": seen, "last_seen": seen, "count": one}
    columns |= {f"{name} at": times for name in LAST}
    reported = np.asarray(whole(table["ReportedDurationMs"]).fill_null(np.nan))
    names = {
        "name": cut(whole(table["EventName"]).fill_null(NO_NAME)),
        "first": times,
        "last": times,
        "count": one,
        "reported": np.where(np.isfinite(reported) & (reported >= 0), reported, np.nan),
    }
    if not names["name"].null_count:
        return _folded(columns, groups, names, groups)
    named = np.asarray(names["name"].is_valid())
    names = {
        name: values.filter(pa.array(named)) if name == "name" else values[named]
        for name, values in names.items()
    }
    return _folded(columns, groups, names, groups[named])


def _folded(columns: Mapping[str, Any], groups: Array, names: Mapping[str, Any], parents: Array) -> pa.Table:
    """Folds rows into one observation per group; `parents` has the group of each name."""
    order = np.argsort(groups, kind="stable")
    groups = groups[order]
    starts = run_starts(groups)
    folded: dict[str, Any] = {}
    for name in ("_ResourceId", "CorrelationId"):
        folded[name] = columns[name].take(pa.array(order[starts]))
    for name, reduce in _REDUCE.items():
        folded[name] = reduce.reduceat(integers(columns[name])[order], starts)
    folded["names"] = _names(names, parents, len(starts))
    for name in LAST:
        folded[name], folded[f"{name} at"] = _last(
            columns[name], integers(columns[f"{name} at"]), order, groups, starts
        )
    return pa.table([folded[name] for name in OBSERVATIONS.names], schema=OBSERVATIONS)


_REDUCE = {
    "first": np.minimum,
    "last": np.maximum,
    "first_seen": np.minimum,
    "last_seen": np.maximum,
    "count": np.add,
}


def ranked(values: pa.ChunkedArray | pa.Array) -> tuple[Array, pa.Array]:
    """Returns for each text a number that sorts like the text (-1 for null), and the texts by number."""
    values = whole(values)
    encoded = values.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    rank = np.empty(len(order) + 1, np.int64)
    rank[np.asarray(order)] = np.arange(len(order))
    rank[-1] = -1
    codes = encoded.indices.fill_null(-1) if values.null_count else encoded.indices
    return rank[np.asarray(codes)], encoded.dictionary.take(order)


def _names(names: Mapping[str, Any], parents: Array, groups: int) -> pa.ListArray:
    """Returns the list of names of each group, which may be empty; `parents` has the group of each name."""
    if not len(parents):
        return pa.ListArray.from_arrays(
            pa.array(np.zeros(groups + 1, np.int32)), pa.array([], NAMES.value_type), type=NAMES
        )
    rank, texts = ranked(names["name"])
    pairs = parents * len(texts) + rank
    order = np.argsort(pairs, kind="stable")
    starts = run_starts(pairs[order])
    group, rank = np.divmod(pairs[order][starts], len(texts))
    # Names are kept by alphabetical order, not by time, so that the order of folding does not matter.
    begins = np.searchsorted(group, np.arange(groups))
    kept = np.arange(len(group)) - begins[group] < MAX_NAMES
    folded = (
        reduce.reduceat(np.asarray(names[name])[order], starts)[kept]
        for name, reduce in (("first", np.minimum), ("last", np.maximum), ("count", np.add))
    )
    reported = names["reported"]
    if isinstance(reported, pa.Array):
        reported = np.asarray(reported.fill_null(np.nan))
    parts = [
        texts.take(pa.array(rank[kept])),
        *map(pa.array, folded),
        pa.array(np.fmax.reduceat(reported[order], starts)[kept], from_pandas=True),
    ]
    return _lists(np.searchsorted(group[kept], np.arange(groups + 1)), parts)


def _lists(offsets: Array, parts: Sequence[Any]) -> pa.ListArray:
    values = pa.StructArray.from_arrays(parts, fields=list(NAMES.value_type))
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values, type=NAMES)


def _last(values: Any, at: Array, order: Array, groups: Array, starts: Array) -> tuple[Any, Any]:
    """Returns each group's value with the highest (time, value), and its time; `groups` is in `order`."""
    if values.null_count == len(values):
        return pa.nulls(len(starts), pa.string()), np.full(len(starts), NEVER)
    if values.null_count:
        at = np.where(np.asarray(values.is_null()), NEVER, at)
    at = at[order]
    newest = np.maximum.reduceat(at, starts)
    last = np.flatnonzero(at == newest[groups])
    values = values.take(pa.array(order[last]))
    if len(last) == len(starts):
        return cut(values), newest
    rank, texts = ranked(values)
    best = np.maximum.reduceat(rank, run_starts(groups[last]))
    return cut(texts).take(pa.array(best, mask=best < 0)), newest


def dump(table: pa.Table, compression: str = "zstd") -> bytes:
    """Serializes a table as an Arrow IPC file for a state blob."""
    sink = pa.BufferOutputStream()
    # Handing small buffers to other threads takes longer than compressing them.
    options = pa.ipc.IpcWriteOptions(compression=compression, use_threads=False)
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def load(data: bytes, columns: Sequence[int] | None = None) -> pa.Table:
    """Reads what `dump` wrote, or only the columns at these indexes. Raises DamagedFile."""
    options = pa.ipc.IpcReadOptions(use_threads=False, included_fields=columns)
    try:
        return pa.ipc.open_file(data, options=options).read_all()
    except (pa.ArrowException, OSError) as error:
        raise DamagedFile(f"not a readable Arrow file ({len(data)} bytes): {error}") from error
