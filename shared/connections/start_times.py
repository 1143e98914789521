"""Keeps the connection start times that a process knows from all commits and from the state table."""

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from itertools import batched, chain

import numpy as np
import pyarrow as pa

from shared import deadline
from shared.arrays import Array
from shared.connections import manifest, observations, segments, state_table
from shared.connections.manifest import Manifest
from shared.connections.observations import UNKNOWN
from shared.errors import DamagedFile, LedgerError
from shared.input.hub_partition import HubPartition
from shared.protocol.ledger import LISTED, Ledger, Segment
from shared.protocol.stamp import Clock
from shared.protocol.storage import Storage
from shared.timeunits import HOUR, MINUTE

KEPT = MINUTE
"""Minimum time that a ledger lists a segment, even a merged one, so that other processes see it (µs)."""
RECENT = 100_000
"""Number of connections that are kept in a dictionary before they are sorted into the arrays."""
GROWTH = 1_000_000
"""Number of connections learned after the state table was read that make it read again, to bound memory."""
REMEMBERED = HOUR
"""How much longer than the state table a process may remember a connection (µs, on the table's clock)."""
ATTEMPTS = 5
AT_ONCE = 64
"""Maximum segments that are read at a time, so that other callers of the thread pool get their turn."""
MOST = 10_000
"""Maximum waiting segments that are read, newest first; they accumulate while the timer is stopped."""

_NONE = (UNKNOWN, UNKNOWN)

log = logging.getLogger(__name__)


class StartTimeIndex:
    """The earliest time and arrival of each connection: sorted arrays, and a dictionary for recent ones."""

    def __init__(self) -> None:
        self._keys: Array = np.empty(0, "S16")
        self._times: Array = np.empty(0, np.int64)
        self._arrivals: Array = np.empty(0, np.int64)
        self._halves: Array = np.empty(0, np.uint64)
        self._recent: dict[bytes, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._keys) + len(self._recent)

    def earliest(self, keys: Array) -> tuple[Array, Array]:
        """Returns the earliest known time and arrival of each key (µs since 1970 UTC), or UNKNOWN."""
        get = self._recent.get
        recent = chain.from_iterable([get(key, _NONE) for key in keys.tolist()])
        times, arrivals = np.fromiter(recent, np.int64, 2 * len(keys)).reshape(-1, 2).T
        if len(self._keys):
            # The first halves of keys are numbers, which are found 20 times faster. Keys rarely share one.
            at = np.searchsorted(self._halves, _half(keys))
            last = len(self._keys) - 1
            while (short := (at < last) & (self._keys[np.minimum(at, last)] < keys)).any():
                at += short
            at = np.minimum(at, last)
            hit = self._keys[at] == keys
            times = np.minimum(times, np.where(hit, self._times[at], UNKNOWN))
            arrivals = np.minimum(arrivals, np.where(hit, self._arrivals[at], UNKNOWN))
        return times, arrivals

    def learn(self, keys: Array, times: Array, arrivals: Array) -> None:
        """Learns times and arrivals that are earlier than the known ones."""
        recent = self._recent
        for key, time, arrival in zip(keys.tolist(), times.tolist(), arrivals.tolist(), strict=True):
            first, seen = recent.get(key, _NONE)
            if time < first or arrival < seen:
                recent[key] = (min(time, first), min(arrival, seen))
        if len(recent) > RECENT:
            values = np.array(list(recent.values()), np.int64)
            self.extend([(np.array(list(recent), "S16"), values[:, 0], values[:, 1])])
            self._recent = {}

    def extend(self, more: Iterable[tuple[Array, Array, Array]]) -> None:
        """Adds many connections at once."""
        keys, times, arrivals = (
            np.concatenate(parts)
            for parts in zip((self._keys, self._times, self._arrivals), *more, strict=True)
        )
        if (keys[1:] <= keys[:-1]).any():
            order = np.argsort(keys, kind="stable")
            keys, times, arrivals = keys[order], times[order], arrivals[order]
            first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
            keys = keys[first]
            times, arrivals = np.minimum.reduceat(times, first), np.minimum.reduceat(arrivals, first)
        self._keys, self._times, self._arrivals, self._halves = keys, times, arrivals, _half(keys)


class StartTimes:
    """The start times in all commits, at most `staleness` out of date. Thread-safe; one per process.

    Reads in the order in which observations move: ledgers first, then the manifest and its state table.
    Segments that a ledger no longer lists were merged before, so a state table that is read afterwards has
    them.
    """

    def __init__(self, storage: Storage, staleness: int, now: Clock) -> None:
        """`staleness` is in microseconds."""
        self._storage = storage
        self._staleness = staleness
        self._now = now
        self._reading = threading.Lock()
        self._changing = threading.Lock()
        self._starts = StartTimeIndex()
        self._read: dict[str, tuple[str, int]] = {}
        self._manifest: Manifest | None = None
        self._refreshed: int | None = None
        self._loaded = 0
        self._loaded_at = -1

    def earliest(self, observed: pa.Table) -> tuple[Array, Array]:
        """See observations.StartTimeLookup."""
        keys = observations.keys(observed)
        with self._changing:
            return self._starts.earliest(keys)

    def seen(self, partition: HubPartition) -> tuple[str, int] | None:
        """Returns the id and ordinal of the partition's ledger that the timer last saw, or None."""
        # Not stored as this object's manifest, because another thread may be folding segments that it has
        # not merged.
        merged = manifest.load(self._storage).partitions.get(str(partition))
        return (merged.ledger_id, merged.seen) if merged and merged.ledger_id else None

    def refresh(self, ledger: Ledger) -> Ledger:
        """Learns what this ledger lists and, if the last time was `staleness` ago, what all others list.

        Returns the ledger to continue from, without segments that are merged and that other processes have
        seen.
        """
        with deadline.hold(self._reading, "start times of connections"):
            asked = self._now()
            if self._refreshed is None or abs(asked - self._refreshed) >= self._staleness:
                self._follow(self._ledgers(ledger), whole=self._refreshed is None)
                self._refreshed = asked
            elif not self._fold({ledger.partition: ledger}):
                self._follow(self._ledgers(ledger), whole=True)
            current = self._manifest or Manifest()
        return current.confirm(ledger.without_merged(current.watermark(ledger), asked - KEPT))

    def committed(self, before: Ledger, ledger: Ledger, segment: bytes | None) -> None:
        """Learns from a commit of this process that follows `before`."""
        with deadline.hold(self._reading, "start times of connections"):
            if self._read.get(before.partition, (before.ledger_id, 0)) == (before.ledger_id, before.ordinal):
                if segment is not None:
                    self._learn(observations.load(segment))
                self._read[ledger.partition] = (ledger.ledger_id, ledger.ordinal)

    def _ledgers(self, own: Ledger) -> dict[str, Ledger]:
        """Reads all ledgers except those that cannot be read, whose start times stay unknown."""
        names = [name for name in self._storage.names("ledgers/") if name != f"ledgers/{own.partition}.json"]
        ledgers = {own.partition: own}
        for name, blob in zip(names, self._storage.read_all(names), strict=True):
            try:
                ledger = Ledger.parse(blob.data, name) if blob else None
            except LedgerError as error:
                log.warning("start times of its connections are unknown: %s", error)
                continue
            if ledger:
                ledgers[ledger.partition] = ledger
        return ledgers

    def _follow(self, ledgers: Mapping[str, Ledger], *, whole: bool) -> None:
        """Learns what these ledgers list, and reads the state table if that is not enough."""
        whole = whole or len(self._starts) > self._loaded + GROWTH
        if not whole and self._fold(ledgers) and self._read_manifest().clock < self._loaded_at + REMEMBERED:
            return
        for attempt in range(ATTEMPTS):
            # Segments that are still missing at the last attempt are lost, not merged in the meantime.
            lost = attempt == ATTEMPTS - 1
            if self._load(lost=lost) and self._fold(ledgers, again=True, lost=lost):
                break
        self._loaded = len(self._starts)
        self._loaded_at = (self._manifest or Manifest()).clock

    def _fold(self, ledgers: Mapping[str, Ledger], *, again: bool = False, lost: bool = False) -> bool:
        """Learns the segments that are not known yet. Returns False if some are gone because they are merged.

        With `lost`, continues without those that cannot be read.
        """
        missing: list[Segment] = []
        read = {}
        indexes, passed = MOST // LISTED // len(ledgers) + 1, 0
        for partition, ledger in ledgers.items():
            ledger_id, ordinal = self._read.get(partition, (ledger.ledger_id, 0))
            if again:
                ordinal = (self._manifest or Manifest()).watermark(ledger)
            elif ledger_id != ledger.ledger_id or ledger.trimmed > ordinal:
                return False
            left = [one for one in ledger.indexes if one.last > ordinal]
            passed += len(left[:-indexes])
            newest = ledger.model_copy(update={"indexes": tuple(left[-indexes:])})
            waiting, unreadable = segments.waiting(self._storage, newest, ordinal)
            if unreadable and not lost:
                return False
            if unreadable:
                names = [index.name for index in unreadable]
                log.error("%s: cannot be read: start times of connections may be missing", names)
            missing += waiting
            read[partition] = (ledger.ledger_id, max(ordinal, ledger.ordinal))
        if passed or len(missing) > MOST:
            number = len(missing) + passed * LISTED
            log.error(
                "%d segments are waiting: start times may be missing; is finish_connections running?", number
            )
            missing = sorted(missing, key=lambda one: one.committed_at)[-MOST:]
        if not self._learn_all([one.name for one in missing], lost=lost):
            return False
        self._read |= read
        return True

    def _learn_all(self, names: Sequence[str], *, lost: bool) -> bool:
        """Learns these segments. Returns False if one is gone, unless `lost` allows that."""
        for some in batched(names, AT_ONCE, strict=False):
            for name, blob in zip(some, self._storage.read_all(some), strict=True):
                if blob is None and not lost:
                    return False
                try:
                    self._learn(observations.load(blob.data if blob else b""))
                except DamagedFile as error:
                    log.warning("%s: start times of connections may be missing: %s", name, error)
        return True

    def _learn(self, observed: pa.Table) -> None:
        keys = observations.keys(observed)
        times, arrivals = (np.asarray(observed[name]) for name in ("first", "first_seen"))
        with self._changing:
            self._starts.learn(keys, times, arrivals)

    def _load(self, *, lost: bool = False) -> bool:
        """Starts over from the state table. Returns False if a part is gone, unless `lost` allows that."""
        current = self._read_manifest()
        starts, parts = StartTimeIndex(), []
        for part in current.parts:
            blob = self._storage.read(part.name)
            if blob is None and not lost:
                return False
            try:
                parts.append(state_table.starts(state_table.checked(part.name, blob.data if blob else b"")))
            except DamagedFile as error:
                log.warning("start times of connections may be missing: %s", error)
        starts.extend(parts)
        with self._changing:
            self._starts = starts
        self._read = {}  # only the state table is known now, even if folding fails
        return True

    def _read_manifest(self) -> Manifest:
        self._manifest = manifest.load(self._storage)
        return self._manifest


def _half(keys: Array) -> Array:
    """Returns the first 64 bits of each key as a number that sorts like the keys."""
    return np.ascontiguousarray(keys).view(">u8")[::2].astype(np.uint64)
