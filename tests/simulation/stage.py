"""A stage for handwritten schedules: the real code, with an action at a certain storage call."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shared.compaction import compaction_state
from shared.compaction.compaction_state import CompactionState, Swap
from shared.compaction.compactor import Compactor
from shared.errors import StorageError
from shared.export.exporter import Exporter
from shared.policies import CompactionPolicy, ExportPolicy
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import SECOND
from tests.memory import MemoryStorage, confirm
from tests.records import EPOCH, PARTITION
from tests.shared.exported import envelopes
from tests.simulation.delta import DeltaWatch

FOLDER = f"parquet/{RECORDS.name}/"
LOG = f"{FOLDER}_delta_log/"
EXPORTING = ExportPolicy(commit_bytes=2000)
type Effect = Callable[[], Any]


class Crash(BaseException):
    """The process dies before a call."""


class HookedStorage(MemoryStorage):
    """Runs an action once, before the next call of a kind whose name contains a text."""

    def __init__(self, now: Callable[[], int], look: Callable[[], None]) -> None:
        super().__init__(now)
        self.hooks: list[tuple[str, str, Callable[[Effect], None]]] = []
        self.look = look

    def call[T](self, kind: str, name: str, effect: Callable[[], T]) -> T:
        """See MemoryStorage."""
        for hook in self.hooks:
            if kind == hook[0] and hook[1] in name:
                self.hooks.remove(hook)
                hook[2](effect)
                break
        answer = effect()
        if kind in {"remove", "publish", "put output"}:
            self.look()
        return answer


@dataclass
class Stage:
    """A container, its clock, and readers that check it after each change."""

    keep: int = 0
    """How long replaced files are kept, in µs."""
    retention: int = 0
    """µs."""
    now: int = EPOCH + 60 * SECOND
    removed: Counter[str] = field(default_factory=Counter)
    deleted: set[str] = field(default_factory=set)
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.storage = HookedStorage(lambda: self.now, self._look)
        self.watch = DeltaWatch(self, self.keep, self.retention)

    def _look(self) -> None:
        self.watch.look()

    def before(self, kind: str, part: str, action: Callable[[], Any]) -> None:
        """Runs an action before the next such call, which then continues; Crash kills the process."""
        self.storage.hooks.append((kind, part, lambda _: action()))

    def instead(self, kind: str, part: str, action: Callable[[Effect], None]) -> None:
        """Passes the effect of the next such call to an action, which raises what the caller sees."""
        self.storage.hooks.append((kind, part, action))

    def export(self, first: int, last: int) -> None:
        """Commits these envelopes; no ledger lists their files afterwards."""
        exporter = Exporter(self.storage, EXPORTING, 1 << 24, lambda: self.now, lambda: uuid.uuid4().hex)
        exporter.run(PARTITION, envelopes(first, last))
        confirm(self.storage, self.now)

    def compactor(self, policy: CompactionPolicy) -> Compactor:
        """Returns the compactor of a process that keeps running."""
        return Compactor(self.storage, policy, lambda: self.now, lambda: uuid.uuid4().hex)

    def compact(self, policy: CompactionPolicy) -> None:
        """Runs compact_logs in a new process, which may crash or fail."""
        with suppress(StorageError, Crash):
            self.compactor(policy).run(600)

    def crash(self) -> None:
        """Raises Crash."""
        raise Crash

    def crash_after_publishing(self) -> None:
        """Kills the next process that publishes the output of a swap before it logs the swap."""
        self.before("publish", "compacted-", lambda: self.before("read output", "_delta_log/", self.crash))

    def names(self, prefix: str = f"{FOLDER}date=") -> list[str]:
        """Returns the visible files whose names begin with this text."""
        return sorted(
            name for name in self.storage.output if name.startswith(prefix) and self.storage.visible(name)
        )

    def swap(self) -> Swap:
        """Returns the swap in progress."""
        swap = CompactionState.parse(self.storage.state[compaction_state.NAME].data).swap
        assert swap
        return swap

    def rows(self, name: str) -> Iterator[str]:
        """Yields the ids of the rows of a visible Parquet file."""
        data = self.storage.output[name].data
        assert data is not None
        yield from pq.read_table(pa.BufferReader(data), columns=["CorrelationId"])[0].to_pylist()

    def visible(self) -> set[str]:
        """Returns the rows of all visible files."""
        return {row for name in self.names() for row in self.rows(name)}

    def delete_file(self, name: str) -> None:
        """Deletes a file as another program would; its rows are gone unless another file has them."""
        rows = set(self.rows(name))
        self.storage.remove_output(name)
        self.removed += Counter(rows - self.visible())
        self.deleted.add(name)

    def lose_log(self) -> None:
        """Deletes the log; readers start again with the next one."""
        for name in self.names(LOG):
            self.storage.remove_output(name)
        self.watch.forget(FOLDER)
