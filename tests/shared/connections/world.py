"""A hub with two partitions, an exporter and a timer, in memory."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shared.connections.checkpoint_watch import CheckpointWatch
from shared.connections.finish_summary import FinishSummary
from shared.connections.manifest import NAME, Manifest
from shared.connections.timer import Finisher
from shared.errors import PreconditionFailed
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.policies import ExportPolicy, FinishPolicy
from shared.protocol.checkpoints import Checkpoint, Checkpoints
from shared.protocol.hub import Fetched, HubState, Position
from shared.protocol.ledger import Ledger
from shared.tables.connection_revisions import CONNECTIONS
from shared.timeunits import HOUR, SECOND
from tests.memory import MemoryStorage
from tests.records import EPOCH, ONE, TWO, record
from tests.records import envelope as made_envelope

POLICY = FinishPolicy(opening=("Opened",), closing=("Closed",))
EMPTY = Position(last=-1, enqueued=-1, empty=True)


class World:
    """A hub with two partitions, an exporter, and a timer."""

    def __init__(self) -> None:
        self.now = EPOCH
        self.storage = MemoryStorage(lambda: self.now)
        self.positions = {ONE: EMPTY, TWO: EMPTY}
        self.created = EPOCH - HOUR
        self.answers = True
        self.held: list[Fetched] = []
        self._ids: Iterator[str] = (f"{n:032x}" for n in count())
        self.exporter = Exporter(self.storage, ExportPolicy(), 1 << 20, lambda: self.now, self.new_id)

    def new_id(self) -> str:
        return next(self._ids)

    def ask(self) -> HubState | None:
        return HubState(self.created, dict(self.positions)) if self.answers else None

    def fetch(self, partition: HubPartition, first: int, last: int) -> list[Fetched]:
        """See shared.connections.checkpoint_watch.Fetcher."""
        assert last <= self.positions[partition].last, "a reader would wait for what does not exist"
        return [one for one in self.held if one.envelope.sequence in range(first, last + 1)]

    def arrive(self, partition: HubPartition, *records: tuple[str, str, float]) -> Envelope:
        """Adds an envelope to the hub: for each record, its id, event name and time in seconds."""
        found = (record(EPOCH + round(time * SECOND), id_, name) for id_, name, time in records)
        last = self.positions.get(partition, EMPTY).last
        envelope = made_envelope(last + 1, self.now, *found)
        self.positions[partition] = Position(last=envelope.sequence, enqueued=self.now, empty=False)
        return envelope

    def commit(self, partition: HubPartition, *records: tuple[str, str, float]) -> None:
        self.now += SECOND
        self.exporter.run(partition, [self.arrive(partition, *records)])

    def run(
        self,
        policy: FinishPolicy = POLICY,
        storage: MemoryStorage | None = None,
        budget: float = 60,
        checkpoints: Checkpoints | None = None,
    ) -> FinishSummary:
        watch = CheckpointWatch(self.storage, checkpoints, self, lambda: self.now) if checkpoints else None
        finisher = Finisher(storage or self.storage, self, policy, lambda: self.now, self.new_id, watch=watch)
        return finisher.run(budget)

    def later(self, wait: int) -> FinishSummary:
        self.now += wait
        return self.run()

    def manifest(self) -> Manifest:
        return Manifest.parse(self.storage.state[NAME].data)

    def ledger(self, partition: HubPartition) -> Ledger:
        return Ledger.parse(self.storage.state[Ledger.name(partition)].data, "")

    def files(self) -> Mapping[str, bytes]:
        return {
            name: blob.data
            for name, blob in self.storage.output.items()
            if blob.data is not None and CONNECTIONS.name in name
        }

    def rows(self) -> list[dict[str, Any]]:
        tables = [pq.ParquetFile(pa.BufferReader(data)).read() for data in self.files().values()]
        rows: list[dict[str, Any]] = pa.concat_tables([CONNECTIONS.arrow.empty_table(), *tables]).to_pylist()
        return sorted(rows, key=lambda row: (row["CorrelationId"], row["Revision"]))


class KeptCheckpoints:
    """Checkpoints in memory."""

    def __init__(self, *checkpoints: Checkpoint) -> None:
        self.all = {checkpoint.partition: checkpoint for checkpoint in checkpoints}

    def read(self, hub: Iterable[HubPartition]) -> Mapping[HubPartition, Checkpoint]:
        return {partition: self.all[partition] for partition in hub if partition in self.all}

    def delete(self, checkpoint: Checkpoint) -> None:
        if self.all[checkpoint.partition] != checkpoint:
            raise PreconditionFailed("changed")
        del self.all[checkpoint.partition]

    def write(self, partition: HubPartition, offset: str, sequence: int, before: Checkpoint | None) -> None:
        raise NotImplementedError
