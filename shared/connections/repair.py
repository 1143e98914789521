"""Publishes files that exporters left unpublished, handles re-created hubs and deletes orphan state blobs."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from shared.connections.manifest import Manifest
from shared.errors import PreconditionFailed
from shared.input.hub_partition import HubPartition
from shared.intervals import difference, total
from shared.protocol import publishing
from shared.protocol.checkpoints import Checkpoint
from shared.protocol.hub import HubState
from shared.protocol.hub_changes import with_hub_created, with_skipped
from shared.protocol.ledger import Ledger
from shared.protocol.stamp import Clock, NewId, Stamp
from shared.protocol.storage import Blob, Storage
from shared.protocol.stored_documents import read_ledgers
from shared.timeunits import HOUR, MINUTE, SECOND
from shared.wording import counted

KEPT = 10 * MINUTE
"""How long replaced parts of the state table are kept for processes that still read them (µs)."""
SWEPT = 5_000
"""Maximum number of state blobs that one call deletes."""

type Alarm = Callable[[str], None]


class Repair:
    """The part of the timer's work that concerns individual ledgers."""

    def __init__(self, storage: Storage, now: Clock, new_id: NewId) -> None:
        """Makes no call."""
        self._storage = storage
        self._now = now
        self._new_id = new_id

    def ledgers(self, alarm: Alarm) -> Iterator[tuple[str, Ledger, Blob]]:
        """Returns every ledger that can be read, with its name and blob."""
        return read_ledgers(self._storage, lambda _, error: alarm(str(error)))

    def repair(
        self,
        before: Manifest,
        state: HubState | None,
        checkpoints: Mapping[HubPartition, Checkpoint],
        alarm: Alarm,
    ) -> int:
        """Publishes files listed for too long, and begins incarnations. Returns how many ledgers it repaired.

        Ledgers that were rolled back are left alone: if they were written again, they would look like those
        they replaced.

        Args:
            before: the manifest.
            state: the hub (None: it did not answer).
            checkpoints: the checkpoints, read after `state`.
            alarm: receives problems for an operator.
        """
        repaired = 0
        there = set()
        for name, ledger, blob in self.ledgers(alarm):
            there.add(ledger.partition)
            if before.rolled_back(ledger):
                continue
            stamp = Stamp(self._new_id(), self._now())
            age = stamp.now - ledger.committed_at
            if ledger.files and age > HOUR:
                alarm(f"{name}: its files were not published for {counted(age // MINUTE, 'minute')}")
            try:
                if state:
                    self._compare(name, ledger, blob.etag, state, checkpoints, alarm)
                if ledger.files and age > publishing.PENDING:
                    repaired += publishing.repair_ledger(self._storage, name, stamp)
            except PreconditionFailed:
                continue  # an exporter was faster: it has done the same, or the next run will
        if state:
            self._begin(before, there, state, checkpoints, alarm)
        return repaired

    def _begin(
        self,
        before: Manifest,
        there: Collection[str],
        state: HubState,
        checkpoints: Mapping[HubPartition, Checkpoint],
        alarm: Alarm,
    ) -> None:
        """Creates the ledgers of partitions in which the host has passed events and nothing was committed."""
        for partition, checkpoint in checkpoints.items():
            merged = before.partitions.get(str(partition))
            was_there = str(partition) in there or (merged is not None and merged.ledger_id)
            if was_there or not _passed(state, partition, checkpoint):
                continue
            ledger = Ledger(ledger_id=self._new_id(), partition=str(partition))
            try:
                self._compare(Ledger.name(partition), ledger, None, state, checkpoints, alarm)
            except PreconditionFailed:
                continue  # an exporter has created it, or it cannot be read

    def _compare(
        self,
        name: str,
        ledger: Ledger,
        etag: str | None,
        state: HubState,
        checkpoints: Mapping[HubPartition, Checkpoint],
        alarm: Alarm,
    ) -> None:
        """Records in the ledger when the hub was created, and which of its events the host has passed."""
        partition = next((one for one in state.positions if str(one) == ledger.partition), None)
        if partition is None:
            return
        after = with_hub_created(ledger, state.created)
        made_anew = after.incarnation.number != ledger.incarnation.number
        passed = _passed(state, partition, checkpoints.get(partition))
        if passed and after.incarnation.created == state.created:
            after = with_skipped(after, passed - 1, state.positions[partition].enqueued)
        if after is ledger:
            return
        self._storage.write(name, after.written(self._new_id(), ledger.committed_at).dump(), etag)
        missing = total(difference(after.incarnation.gaps, () if made_anew else ledger.incarnation.gaps))
        if made_anew:
            alarm(f"{ledger.partition}: the hub was deleted and re-created at {_utc(state.created)}")
        if missing:
            alarm(
                f"{ledger.partition}: the host skipped {counted(missing, 'event')} that the hub still has: "
                "run `redeliver`"
            )

    def sweep(self, alarm: Alarm) -> int:
        """Deletes segments that were merged and are no longer listed, and those of failed attempts.

        An attempt has failed for certain once the ledger reaches its ordinal. Returns the number of
        deletions.
        """
        names = self._storage.names("segments/")
        ledgers = {f"{one.partition}/{one.ledger_id}": one for _, one, _ in self.ledgers(alarm)}
        listed = {segment.name for one in ledgers.values() for segment in one.segments}
        listed |= {index.name for one in ledgers.values() for index in one.indexes}
        gone = []
        for name in names:
            folder, _, file = name.removeprefix("segments/").rpartition("/")
            ledger, ordinal = ledgers.get(folder), int(file.partition("-")[0])
            if ledger is None or name in listed or ordinal > ledger.ordinal:
                continue
            in_index = ledger.indexes and ledger.trimmed < ordinal <= ledger.indexes[-1].last
            if not in_index:
                gone.append(name)
        self._storage.delete(gone[:SWEPT])
        return len(gone[:SWEPT])

    def sweep_parts(self, names: Sequence[str], current: Manifest) -> int:
        """Deletes parts of the state table that are older than this manifest and not listed in it.

        No later manifest can list them: a commit that is based on an older manifest fails.
        """
        kept = {part.name for part in current.parts}
        gone = [name for name in names if name not in kept and _stamped(name) < current.committed_at - KEPT]
        self._storage.delete(gone[:SWEPT])
        return len(gone[:SWEPT])


def _passed(state: HubState, partition: HubPartition, checkpoint: Checkpoint | None) -> int:
    """Returns the sequence number up to which the host has passed this hub's events; 0: none, or unknown.

    The host writes a checkpoint after the commit, so events that it has passed were committed or skipped.
    """
    if checkpoint is None or checkpoint.sequence is None or checkpoint.stale(state.created):
        return 0
    return checkpoint.sequence + 1 if checkpoint.sequence <= state.positions[partition].last else 0


def _stamped(name: str) -> int:
    """Returns when a part was stored (µs since 1970 UTC)."""
    return int(name.removeprefix("state-table/").partition("-")[0])


def _utc(microseconds: int) -> str:
    return f"{datetime.fromtimestamp(microseconds // SECOND, UTC):%Y-%m-%d %H:%M:%S}Z"
