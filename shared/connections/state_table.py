"""The state table: every unfinished or still revisable connection, keyed and split into parts. Pure."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from zlib import crc32

import numpy as np
import pyarrow as pa

from shared.arrays import Array
from shared.connections.manifest import Part
from shared.connections.observations import OBSERVATIONS, fold, keys, load, merge
from shared.errors import DamagedFile

PART_ROWS = 1 << 16
"""Maximum rows of a part. Parts are merged one at a time, so memory does not grow with the table."""
KEY = pa.field("key", pa.binary(16), nullable=False)

STATE = (
    pa.field("revision", pa.int32(), nullable=False),
    pa.field("pending", pa.bool_(), nullable=False),
    pa.field("closed", pa.bool_(), nullable=False),
    pa.field("folder", pa.int64(), nullable=False),
    pa.field("since", pa.int64(), nullable=False),
    pa.field("written_by", pa.binary(16), nullable=False),
)
"""What was written for a connection: the last revision (-1: none), whether records arrived since then
(`pending`), and whether it had a closing event then. Fixed at Revision 0: the time of its folder, FirstSeen
(µs since 1970 UTC), and the id of the commit that wrote it."""

STATE_TABLE = pa.schema([KEY, *OBSERVATIONS, *STATE])


def keyed(observations: Sequence[pa.Table]) -> pa.Table:
    """Folds observations into rows of the state table for which nothing is written yet."""
    merged = merge(observations)
    unsorted = keys(merged)
    order = np.argsort(unsorted)
    merged, rows = merged.take(pa.array(order)), merged.num_rows
    state = [
        np.full(rows, -1, np.int32),
        np.ones(rows, bool),
        np.zeros(rows, bool),
        *[np.zeros(rows, np.int64)] * 2,
        _binary(np.zeros(rows, "S16")),
    ]
    return pa.table([_binary(unsorted[order]), *merged.columns, *state], schema=STATE_TABLE)


def key_of(table: pa.Table, name: str = "key") -> Array:
    """Returns the keys of rows of the state table, or another column of 16 bytes, as numpy's S16."""
    if not table.num_rows:
        return np.empty(0, "S16")
    column = table[name].combine_chunks()
    return np.frombuffer(column.buffers()[1], "S16")[column.offset : column.offset + len(column)]


def merge_into(part: pa.Table, new: pa.Table) -> pa.Table:
    """Folds new rows of the same key range into a part. Both tables and the result are sorted by key."""
    if not new.num_rows or not part.num_rows:
        return new if new.num_rows else part
    old_keys, new_keys = key_of(part), key_of(new)
    at, hit = found(old_keys, new_keys)
    touched, number = at[hit], np.arange(hit.sum())
    old, more = part.take(pa.array(touched)), new.filter(pa.array(hit))
    both = pa.concat_tables([old.select(OBSERVATIONS.names), more.select(OBSERVATIONS.names)])
    folded = fold(both, np.concatenate([number, number]))
    state = [
        pa.array(np.ones(len(number), bool)) if field.name == "pending" else old[field.name]
        for field in STATE
    ]
    merged = pa.table([old["key"], *folded.columns, *state], schema=STATE_TABLE)
    untouched = np.ones(part.num_rows, bool)
    untouched[touched] = False
    table = pa.concat_tables([part.filter(pa.array(untouched)), merged, new.filter(pa.array(~hit))])
    order = np.argsort(
        np.concatenate([old_keys[untouched], old_keys[touched], new_keys[~hit]]), kind="stable"
    )
    return table.take(pa.array(order)).combine_chunks()


def found(old_keys: Array, new_keys: Array) -> tuple[Array, Array]:
    """Returns the position of each new key among the sorted old ones, and whether it is one of them."""
    at = np.searchsorted(old_keys, new_keys)
    there = at < len(old_keys)
    there[there] = old_keys[at[there]] == new_keys[there]
    return at, there


def spread(new: pa.Table, parts: Sequence[Part]) -> Iterator[pa.Table]:
    """Yields for each part, in order, the new rows in its key range."""
    lows = np.array([bytes.fromhex(part.low) for part in parts[1:]], "S16")
    bounds = [0, *np.searchsorted(key_of(new), lows).tolist(), new.num_rows]
    return (new.slice(begin, end - begin) for begin, end in pairwise(bounds))


def cut(table: pa.Table) -> Iterator[pa.Table]:
    """Cuts a table into pieces of equal size, each of at most PART_ROWS rows."""
    pieces = -(-table.num_rows // PART_ROWS)
    bounds = [table.num_rows * n // pieces for n in range(pieces + 1)] if pieces else []
    return (table.slice(begin, end - begin) for begin, end in pairwise(bounds))


def name_of(prefix: str, data: bytes) -> str:
    """Returns the name of a part with these bytes, which ends in their checksum."""
    return f"{prefix}-{crc32(data):08x}.arrow"


def checked(name: str, data: bytes) -> bytes:
    """Returns the bytes of a part. Raises DamagedFile if they do not match the checksum in its name."""
    if name != name_of(name.rpartition("-")[0], data):
        raise DamagedFile(f"{name}: its bytes ({len(data)}) do not have the checksum in its name")
    return data


def starts(data: bytes) -> tuple[Array, Array, Array]:
    """Returns the keys of a part, sorted, and the first time and arrival of each. Skips other columns."""
    wanted = [STATE_TABLE.get_field_index(name) for name in ("key", "first", "first_seen")]
    table = load(data, wanted).combine_chunks()
    return key_of(table), np.asarray(table["first"]), np.asarray(table["first_seen"])


def _binary(values: Array) -> pa.Array:
    """Converts values of numpy's S16 to an Arrow array."""
    return pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), len(values), [None, pa.py_buffer(values.tobytes())]
    )
