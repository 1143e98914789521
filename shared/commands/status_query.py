"""Computes the exporter's status from the state container and the hub; read-only, and cheap to poll."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from shared.commands.status_document import CountsAs, KeyStatus, NameStatus, SwapStatus
from shared.commands.status_model import PartitionState, Status
from shared.compaction import compaction_state
from shared.connections import manifest
from shared.connections.finishing import Vocabulary
from shared.connections.manifest import EventNameCounts, Manifest
from shared.errors import LedgerError
from shared.input.hub_partition import is_archive
from shared.policies import FinishPolicy
from shared.protocol import ownership, stored_documents
from shared.protocol.ledger import Ledger
from shared.protocol.nested_storage import NestedStorage
from shared.protocol.storage import Storage
from shared.protocol.unclaimed_keys import UnclaimedKeys
from shared.timeunits import HOUR, MINUTE
from shared.wording import counted

if TYPE_CHECKING:  # avoids importing the hub's library, which is slow
    from collections.abc import Mapping

    from shared.input.hub_partition import HubPartition
    from shared.protocol.checkpoints import Checkpoint
    from shared.protocol.hub import HubState

ENOUGH_HEADROOM = 24 * 3600
"""Seconds that should be left until the hub may delete uncommitted events, or half its retention if less."""
KEYS = 20
"""Maximum number of keys of a table that are listed."""
SWAP = 20 * MINUTE
"""Microseconds after which a compaction swap should be finished: two runs of its timer."""

STALE = (
    "its checkpoint is older than the hub, which was re-created: the host reads nothing, or begins"
    " in the middle of the new hub. finish_connections deletes it; if it stays, see"
    " `python -m shared reset-checkpoint`"
)


def status(
    storage: Storage,
    policy: FinishPolicy,
    state: "HubState | None",
    now: int,
    checkpoints: "Mapping[HubPartition, Checkpoint] | None" = None,
) -> Status:
    """Returns the status from ledgers, manifest and hub.

    Args:
        storage: the output and the state.
        policy: which names open and close connections, and how long the hub keeps events.
        state: the hub (None: not queried).
        now: µs since 1970 UTC.
        checkpoints: the checkpoints of the Functions host (None: not read).
    """
    seen = manifest.load(storage)
    archive = NestedStorage(storage)
    partitions = _partition_states(storage, seen, now)
    partitions |= _partition_states(archive, manifest.load(archive), now)
    if state:
        _compare(partitions, state, policy.retention.total_seconds(), now)
        _note_checkpoints(partitions, state, checkpoints or {})
    are = "is" if len(seen.lost) == 1 else "are"
    alarms = [f"{counted(len(seen.lost), 'file')} of finished connections {are} lost"] if seen.lost else []
    wrong = ownership.problem(storage)
    if wrong:
        alarms.append(wrong)
    try:
        swap = _pending(storage)
    except LedgerError as error:
        swap = None
        alarms.append(f"nothing is compacted: {error}")
    if swap and now - swap.since > SWAP:
        twice = ", readers see rows twice" if swap.visible and swap.left else ""
        alarms.append(
            f"{swap.folder}: a compaction swap has been unfinished for "
            f"{(now - swap.since) // MINUTE:,} min{twice}, and no other hour is compacted: {swap.waits_for}"
        )
    known = sorted(seen.names.items(), key=lambda one: (-one[1].connections, one[0]))
    vocabulary = Vocabulary.of(policy)
    return Status(
        partitions=sorted(partitions.values(), key=lambda one: one.partition),
        names=[_name(name, one, vocabulary) for name, one in known],
        manifest=seen,
        swap=swap,
        keys=list(_keys(partitions.values())),
        alarms=alarms,
    )


def _partition_states(storage: Storage, seen: Manifest, now: int) -> dict[str, PartitionState]:
    """Returns the state of each partition from ledgers and manifest."""
    partitions: dict[str, PartitionState] = {}

    def add(name: str, ledger: Ledger | None, alarms: Iterable[str]) -> None:
        partition = name.removeprefix("ledgers/").removesuffix(".json")
        partitions[partition] = PartitionState(partition, ledger, alarms=list(alarms))

    for name, ledger, _ in stored_documents.read_ledgers(
        storage, lambda name, error: add(name, None, [str(error)])
    ):
        add(name, ledger, _alarms(ledger, seen, now))
    for partition, merged in seen.partitions.items():
        if merged.ledger_id and partition not in partitions:
            gone = "its ledger is missing: restore it, or see `python -m shared accept-ledger`"
            partitions[partition] = PartitionState(partition, None, alarms=[gone])
    return partitions


def _keys(partitions: Iterable[PartitionState]) -> Iterator[KeyStatus]:
    """Yields at most `KEYS` for each table, over all partitions except replays."""
    total: dict[str, UnclaimedKeys] = {}
    for one in partitions:
        for table, found in one.ledger.unclaimed.items() if one.ledger and not one.replay else ():
            counts = Counter(total[table].counts if table in total else {}) + Counter(found.counts)
            records = found.records + (total[table].records if table in total else 0)
            total[table] = UnclaimedKeys(records=records, counts=dict(counts))
    for table, keys in sorted(total.items()):
        for key, records in keys.most(KEYS):
            yield KeyStatus(table=table, key=key, records=records, of=keys.records)


def _pending(storage: Storage) -> SwapStatus | None:
    """Raises LedgerError."""
    state = stored_documents.read(storage, compaction_state.NAME, compaction_state.CompactionState.parse)
    swap = state.swap if state else None
    if swap is None:
        return None
    visible = {file.name for file in storage.outputs(swap.folder) if file.visible}
    left = [name for name in swap.names if name in visible]
    inputs, output = len(swap.inputs), swap.output.name
    if output not in visible:
        waits_for = "the large file must be published"
    elif not left:
        waits_for = "its end must be recorded"
    else:
        are = "file is" if inputs == 1 else "files are"
        waits_for = f"{len(left):,} of {inputs:,} {are} still to be deleted, such as {left[0]}"
    return SwapStatus(
        folder=swap.folder,
        output=output,
        since=swap.began,
        inputs=inputs,
        visible=output in visible,
        left=left,
        waits_for=waits_for,
    )


def _compare(partitions: dict[str, PartitionState], state: "HubState", retention: float, now: int) -> None:
    """Adds the lag of each partition of the hub, and partitions without commits."""
    for partition, position in state.positions.items():
        one = partitions.setdefault(str(partition), PartitionState(str(partition), None))
        if one.ledger is None and one.alarms:
            continue
        one.lag = lag = position.lag(one.ledger, now)
        if lag.stalled:
            one.alarms.append(
                f"{counted(lag.envelopes, 'envelope')} waiting for up to {lag.seconds / 60:,.0f} min, and"
                " nothing is committed: is export_logs running?"
            )
        left = lag.headroom(retention)
        if lag.envelopes and left is not None and left < min(ENOUGH_HEADROOM, retention / 2):
            one.alarms.append(
                f"the hub may delete waiting events in {max(0, left) / 3600:.1f} h: raise its retention, then"
                " find out why nothing is exported"
            )


def _note_checkpoints(
    partitions: dict[str, PartitionState], state: "HubState", checkpoints: "Mapping[HubPartition, Checkpoint]"
) -> None:
    """Adds the checkpoint of each partition, and an alarm if it belongs to an older hub."""
    for partition, checkpoint in checkpoints.items():
        one = partitions[str(partition)]
        one.checkpoint = checkpoint
        if checkpoint.stale(state.created):
            one.alarms.append(STALE)


def _name(name: str, seen: EventNameCounts, vocabulary: Vocabulary) -> NameStatus:
    opening, closing = name.lower() in vocabulary.opening, name.lower() in vocabulary.closing
    counts_as: CountsAs = "opening" if opening else "closing" if closing else "neither"
    return NameStatus(
        name=name,
        connections=seen.connections,
        first=seen.first,
        last=seen.last,
        newest=seen.newest,
        counts_as="opening and closing" if opening and closing else counts_as,
    )


def _alarms(ledger: Ledger, seen: Manifest, now: int) -> Iterator[str]:
    if seen.rolled_back(ledger):
        yield "its ledger is older than the one seen before, or differs: see `python -m shared accept-ledger`"
    if ledger.lost:
        are = "is" if len(ledger.lost) == 1 else "are"
        yield f"{counted(len(ledger.lost), 'file')} {are} lost: `python -m shared audit` lists them"
    age = now - ledger.committed_at
    why = "run backfill again" if is_archive(ledger.partition) else "is the timer running?"
    if ledger.files and age > HOUR:
        files = counted(len(ledger.files), "file")
        yield f"{files} may have been unpublished for {age // MINUTE:,} min: {why}"
