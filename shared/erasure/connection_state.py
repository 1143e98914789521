"""Erases connections from the state table, so that no more rows are written for them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import batched

import numpy as np
import pyarrow as pa

from shared.connections import manifest, observations, segments, start_times, state_table
from shared.connections.manifest import Manifest, Part
from shared.erasure.selection import Selection
from shared.errors import DamagedFile, PreconditionFailed
from shared.protocol import stored_documents
from shared.protocol.stamp import Stamp
from shared.protocol.storage import Storage

ATTEMPTS = 20
"""Maximum number of attempts while the timer keeps changing the state table."""
CHUNK = 64


@dataclass(frozen=True, slots=True)
class StateMatches:
    """The matches in the state of connections."""

    connections: int = 0
    """Matching rows of the state table, and matching observations that failed commits left behind."""
    waiting: int = 0
    """Matching observations of commits that the timer has not merged yet."""


def find(storage: Storage, selection: Selection) -> StateMatches:
    """Counts the matches. Raises StorageError, LedgerError, DamagedFile."""
    before = manifest.load(storage)
    rows = sum(int(selection.state(_read(storage, part)).sum()) for part in before.parts)
    rows += sum(number for _, number in _orphans(storage, selection))
    waiting = 0
    for _, ledger, _ in stored_documents.read_ledgers(storage):
        listed, _ = segments.waiting(storage, ledger, before.watermark(ledger))
        waiting += sum(n for _, n in _observed(storage, selection, [segment.name for segment in listed]))
    return StateMatches(rows, waiting)


def forget(storage: Storage, stamp: Callable[[], Stamp]) -> None:
    """Removes merged observations from the ledgers, so that the timer deletes them soon.

    Without this, the ledger of an idle partition would list its last observations until its next commit.
    """
    before = manifest.load(storage)
    for name, ledger, blob in stored_documents.read_ledgers(storage):
        current = stamp()
        after = ledger.without_merged(before.watermark(ledger), current.now - start_times.KEPT)
        if after is not ledger and after != ledger:
            after = after.written(current.commit_id, ledger.committed_at)
            with suppress(PreconditionFailed):  # an exporter's commit has removed them
                storage.write(name, after.dump(), blob.etag)


def erase(storage: Storage, selection: Selection, stamp: Callable[[], Stamp]) -> int:
    """Erases rows of the state table, and observations that no timer will merge; returns their number.

    Raises PreconditionFailed if the timer changes the state table during every attempt.
    """
    orphans = dict(_orphans(storage, selection))
    storage.delete([*orphans])
    return _erase_rows(storage, selection, stamp) + sum(orphans.values())


def _erase_rows(storage: Storage, selection: Selection, stamp: Callable[[], Stamp]) -> int:
    for attempt in range(1, ATTEMPTS + 1):
        blob = storage.read(manifest.NAME)
        if blob is None:
            return 0
        before = Manifest.parse(blob.data)
        current = stamp()
        try:
            parts = list(_parts(storage, selection, before, current))
            if (rows := sum(erased for _, erased in parts)) == 0:
                return 0
            left = tuple(part for part, _ in parts if part is not None)
            after = before.model_copy(update={"parts": left}).written(current.commit_id, current.now)
            storage.write(manifest.NAME, after.dump(), blob.etag)
        except PreconditionFailed:
            if attempt == ATTEMPTS:
                raise
        else:
            return rows
    raise AssertionError


def _orphans(storage: Storage, selection: Selection) -> Iterator[tuple[str, int]]:
    """Yields matching segments of exporters that lost the race to create a partition's ledger.

    The timer keeps them, because they could belong to a lost ledger that may be restored. Therefore, this
    considers only partitions whose ledger the timer merges.
    """
    before = manifest.load(storage)
    current = {
        ledger.partition: ledger.ledger_id
        for _, ledger, _ in stored_documents.read_ledgers(storage)
        if ledger.partition in before.partitions
        and before.partitions[ledger.partition].ledger_id == ledger.ledger_id
    }
    names = []
    for name in storage.names("segments/"):
        folder, _, file = name.removeprefix("segments/").rpartition("/")
        partition, _, ledger_id = folder.rpartition("/")
        if file.endswith(".arrow") and current.get(partition, ledger_id) != ledger_id:
            names.append(name)
    yield from _observed(storage, selection, names)


def _observed(storage: Storage, selection: Selection, names: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yields each segment that holds matching observations, with the number of matches."""
    for some in batched(names, CHUNK, strict=False):
        for name, blob in zip(some, storage.read_all(some), strict=True):
            if blob and (number := int(selection.state(observations.load(blob.data)).sum())):
                yield name, number


def _parts(
    storage: Storage, selection: Selection, before: Manifest, stamp: Stamp
) -> Iterator[tuple[Part | None, int]]:
    """Returns each part without its matches (None if nothing is left), and the number of erased rows."""
    for number, part in enumerate(before.parts):
        rows = _read(storage, part)
        hits = selection.state(rows)
        if not hits.any():
            yield part, 0
            continue
        left = rows.filter(pa.array(~hits)).combine_chunks()
        erased = int(hits.sum())
        if not left.num_rows:
            yield None, erased
            continue
        data = observations.dump(left)
        name = state_table.name_of(f"state-table/{stamp.now:020d}-{stamp.commit_id}-{number:05d}", data)
        storage.put(name, data)
        low = state_table.key_of(left.slice(0, 1)).tobytes().hex()
        waiting = int(np.asarray(left["pending"]).sum())
        yield Part(name=name, low=low, rows=left.num_rows, open=waiting, due=part.due), erased


def _read(storage: Storage, part: Part) -> pa.Table:
    blob = storage.read(part.name)
    if blob is None:
        raise PreconditionFailed(f"{part.name} is gone, because the timer has replaced it")
    try:
        return observations.load(state_table.checked(part.name, blob.data))
    except DamagedFile as error:
        raise DamagedFile(f"{part.name}: {error}") from error
