"""Commits the envelopes of a source: load ledger, plan, stage, write ledger, publish, until none is left."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from shared import connections, plan
from shared.budget import ByteBudget
from shared.commit import publish
from shared.envelope import Envelope, Source
from shared.errors import LedgerMissing, LedgerRolledBack, Refused
from shared.ledger import Ledger
from shared.settings import Rules
from shared.storage import Storage

GZIP = b"\x1f\x8b"
ATTEMPTS = 10
"""Refusals in a row after which the invocation fails, and the trigger's retry policy takes over."""

log = logging.getLogger(__name__)


class Exporter:
    """The exporter of a process, for all sources it is given. Thread-safe."""

    def __init__(
        self, storage: Storage, rules: Rules, memory: int, now: Callable[[], int], new_id: Callable[[], str]
    ) -> None:
        """Takes its clock (µs since 1970 UTC) and its random ids (32 hexadecimal digits) from outside.

        `memory`: bytes of envelopes that all calls of `run` together work on at a time.
        """
        self._storage = storage
        self._rules = rules
        self._now = now
        self._new_id = new_id
        self._budget = ByteBudget(memory)
        self._lock = threading.Lock()
        self._cache: dict[Source, tuple[Ledger, str]] = {}
        self._seen: dict[Source, tuple[str, int]] = {}
        self._known: dict[Source, _Known] = {}

    def run(self, source: Source, envelopes: Sequence[Envelope]) -> list[plan.Plan]:
        """Commits what is not committed yet of these envelopes, and returns the commits made.

        When it returns, all of them are committed and their files are visible. Raises StorageError or
        LedgerError: then some may be; call it again with these or any other envelopes of the source.
        """
        with self._lock:
            held: tuple[Ledger, str | None] | None = self._cache.pop(source, None)
        need = self._need(envelopes)
        commits: list[plan.Plan] = []
        refusals = 0
        while True:
            try:
                ledger, etag = held or self._load(source)
                held = None
                starts = self._starts(source, ledger)
                with self._budget.hold(need):
                    commit = plan.make(source, envelopes, ledger, starts, self._rules, self._stamp())
                    if commit is None:
                        break
                    held = self._commit(source, commit, etag)
            except Refused as refusal:
                refusals += 1
                log.warning("%s: refused (%d): %s", source, refusals, refusal)
                if refusals == ATTEMPTS:
                    raise
                continue
            commits.append(commit)
            refusals = 0
        if etag is not None:
            with self._lock:
                self._cache[source] = (ledger, etag)
        return commits

    def _load(self, source: Source) -> tuple[Ledger, str | None]:
        """Step 1: the ledger as it stands, with every file that it lists published."""
        name = Ledger.name(source)
        blob = self._storage.read(name)
        with self._lock:
            seen = self._seen.get(source)
        if blob is None:
            if seen:
                raise LedgerMissing(
                    f"{name}: was there with ordinal {seen[1]} and is gone: restore it, or adopt a new one"
                )
            return Ledger(ledger_id=self._new_id(), source=str(source)), None
        ledger = Ledger.parse(blob.data, name)
        if seen and (ledger.ledger_id != seen[0] or ledger.ordinal < seen[1]):
            raise LedgerRolledBack(
                f"{name}: is {ledger.ledger_id} ordinal {ledger.ordinal}, was {seen[0]} ordinal {seen[1]}: "
                "restore it, or adopt what is there"
            )
        self._saw(source, ledger)
        return publish(self._storage, name, ledger, blob.etag, self._stamp())

    def _commit(self, source: Source, commit: plan.Plan, etag: str | None) -> tuple[Ledger, str]:
        """Steps 3 to 5: stage, write the ledger, publish."""
        name = Ledger.name(source)
        data = commit.ledger.dump()
        self._storage.stage(commit.files)
        if commit.segment is not None:
            self._storage.put(commit.ledger.segments[-1].name, commit.segment)
        etag = self._storage.write(name, data, etag)
        self._saw(source, commit.ledger)
        return publish(self._storage, name, commit.ledger, etag, self._stamp())

    def _saw(self, source: Source, ledger: Ledger) -> None:
        with self._lock:
            self._seen[source] = (ledger.ledger_id, ledger.ordinal)

    def _starts(self, source: Source, ledger: Ledger) -> connections.Starts:
        """What the source has committed before tells of connections' starts; each segment is read once."""
        with self._lock:
            known = self._known.setdefault(source, _Known(_Memory(), set()))
        for segment in ledger.segments:
            if segment.name not in known.segments:
                blob = self._storage.read(segment.name)
                if blob:
                    known.memory.fold(connections.load(blob.data))
                known.segments.add(segment.name)
        return known.memory

    def _need(self, envelopes: Sequence[Envelope]) -> int:
        """Bytes that planning may work on at a time; what a compressed body comes to is not known before."""
        if any(envelope.body.startswith(GZIP) for envelope in envelopes):
            return self._rules.commit_bytes
        return min(self._rules.commit_bytes, sum(len(envelope.body) for envelope in envelopes))

    def _stamp(self) -> plan.Stamp:
        return plan.Stamp(self._new_id(), self._now())


class _Memory:
    """Starts in a dictionary, folded from observations."""

    def __init__(self) -> None:
        self._starts: dict[bytes, int] = {}

    def earliest(self, observations: pa.Table) -> np.ndarray[Any, Any]:
        keys = connections.keys(observations).tolist()
        return np.array([self._starts.get(key, connections.UNKNOWN) for key in keys], np.int64)

    def fold(self, observations: pa.Table) -> None:
        for key, first in zip(
            connections.keys(observations).tolist(), observations["first"].to_pylist(), strict=True
        ):
            self._starts[key] = min(first, self._starts.get(key, connections.UNKNOWN))


@dataclass(frozen=True, slots=True)
class _Known:
    memory: _Memory
    segments: set[str]
