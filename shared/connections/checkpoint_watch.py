"""Watches the checkpoints of the Functions host: stale ones, and the event that stops a partition.

An event whose AMQP body is a value or a sequence cannot be bound to a function (NotSupportedException of the
Event Hubs extension). The host then never calls the function, and retries the same batch forever. Anyone who
may send to the hub can send such an event.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from shared.azure import checkpoints
from shared.azure.event_hub import EventHub
from shared.errors import HubError, PreconditionFailed, StorageError
from shared.input.hub_partition import HubPartition
from shared.protocol.checkpoints import Checkpoint, Checkpoints
from shared.protocol.hub import Fetcher, HubState
from shared.protocol.stamp import Clock
from shared.protocol.storage import Storage
from shared.protocol.stored_documents import read_ledger
from shared.settings import Settings
from shared.timeunits import MINUTE
from shared.wording import counted

STALLED = 5 * MINUTE
"""Microseconds without a commit or a checkpoint after which a partition with events is examined."""
BATCH = 256
"""Maximum events of a batch (`maxEventBatchSize` of host.json): one that cannot be bound stops them all."""
MINIMUM = 64
"""`minEventBatchSize` of host.json: a partition whose timer has stopped resumes at this many events."""
MOST_EXAMINED = 3
"""Maximum partitions that a run examines; each may take a few seconds."""

type Alarm = Callable[[str], None]

log = logging.getLogger(__name__)


class CheckpointWatch:
    """The part of the timer's work that concerns checkpoints."""

    def __init__(self, storage: Storage, checkpoints: Checkpoints, fetcher: Fetcher, now: Clock) -> None:
        """Makes no call."""
        self._storage = storage
        self._checkpoints = checkpoints
        self._fetcher = fetcher
        self._now = now

    def read(self, state: HubState, alarm: Alarm) -> Mapping[HubPartition, Checkpoint]:
        """Returns the checkpoints of the hub's partitions, or none if they cannot be read."""
        try:
            return self._checkpoints.read(state.positions)
        except StorageError as error:
            alarm(f"checkpoints of the Functions host cannot be read: {error}")
            return {}

    def run(self, state: HubState, found: Mapping[HubPartition, Checkpoint], alarm: Alarm) -> None:
        """Deletes checkpoints of an older hub, and reports the events that stop partitions.

        With a checkpoint of an older hub, the host reads nothing, or begins in the middle of the new one.
        """
        for partition, checkpoint in found.items():
            if checkpoint.stale(state.created):
                alarm(
                    f"{partition}: its checkpoint is older than the hub, which was re-created; the timer "
                    "deletes it, so that the host reads the hub from its beginning"
                )
                try:
                    self._checkpoints.delete(checkpoint)
                except PreconditionFailed:
                    continue  # the host has written it in the meantime
                except StorageError as error:
                    alarm(f"{partition}: its checkpoint cannot be deleted: {error}")
        for partition, numbers, next_ in islice(self._stalled(state, found), MOST_EXAMINED):
            try:
                fetched = self._fetcher.fetch(partition, numbers[0], numbers[-1])
            except HubError as error:
                log.warning("%s: cannot be examined: %s", partition, error)
                continue
            old = [one for one in fetched if self._now() - one.envelope.enqueued >= STALLED]
            unbindable = next((one.envelope for one in old if one.envelope.amqp), None)
            waiting = sum(one.envelope.sequence >= next_ for one in fetched)
            asleep = numbers[0] < next_ and waiting < MINIMUM  # its last checkpoint was not written
            if unbindable:
                number = unbindable.sequence
                alarm(
                    f"{partition} has stopped at sequence number {number}, whose body is an AMQP "
                    f"{unbindable.amqp} that the Functions host cannot read: stop the app, run "
                    f"`reset-checkpoint {partition} --after {number} --yes`, start it, and run `redeliver`"
                )
            elif asleep and any(one.envelope.sequence >= next_ for one in old):
                alarm(
                    f"{partition}: {counted(waiting, 'event has', 'events have')} been waiting for more than "
                    f"{STALLED // MINUTE} minutes, fewer than a batch: the trigger has stopped its timer "
                    "for this partition, because its last checkpoint could not be written. Restart the app"
                )

    def _stalled(
        self, state: HubState, found: Mapping[HubPartition, Checkpoint]
    ) -> Iterator[tuple[HubPartition, range, int]]:
        """Yields partitions that may have stopped, with a batch of numbers after the checkpoint.

        The batch ends where the hub ends, because a reader would wait for more. The last item of a
        tuple is the ledger's next number.
        """
        for partition, position in state.positions.items():
            checkpoint = found.get(partition)
            if checkpoint and checkpoint.stale(state.created):
                continue
            sequence = checkpoint.sequence if checkpoint else None
            after = position.first if sequence is None else max(position.first, sequence + 1)
            moved = checkpoint.modified if checkpoint else 0
            if position.empty or after > position.last or self._now() - moved < STALLED:
                continue
            ledger = read_ledger(self._storage, partition)
            if self._now() - (ledger.committed_at if ledger else 0) >= STALLED:
                yield (
                    partition,
                    range(after, min(after + BATCH, position.last + 1)),
                    (ledger.incarnation.next or 0) if ledger else 0,
                )


def connect(storage: Storage, config: Settings, now: Clock) -> CheckpointWatch | None:
    """Returns the watch for the settings' hub and group; None without access to the host's storage."""
    found = checkpoints.connect(config.checkpoints, config.EVENT_HUB_CONSUMER_GROUP)
    hub = EventHub(config.hub, config.EVENT_HUB_NAME, config.EVENT_HUB_OPERATOR_CONSUMER_GROUP)
    return CheckpointWatch(storage, found, hub, now) if found else None
