"""A stage for schedules written by hand: the real code, and something that happens at a storage call."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shared.compaction import swaps
from shared.compaction.compactor import Compactor
from shared.compaction.swaps import CompactionState, Swap
from shared.errors import StorageError
from shared.export.exporter import Exporter
from shared.policies import CompactionPolicy, ExportPolicy
from shared.protocol.ledger import Ledger
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import SECOND
from tests.memory import MemoryStorage
from tests.shared.exported import EPOCH, PARTITION, envelopes
from tests.simulation.delta import DeltaWatch

FOLDER = f"parquet/{RECORDS.name}/"
LOG = f"{FOLDER}_delta_log/"
EXPORTING = ExportPolicy(commit_bytes=2000)
type Effect = Callable[[], Any]


class Crash(BaseException):
    """The process dies before a call."""


class HookedStorage(MemoryStorage):
    """Does something before the next call of a kind whose name has a certain part, once."""

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
    """A container, its clock, and readers that look after each call that changes it."""

    keep: int = 0
    """How long replaced files are promised, µs."""
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
        """Does this before the next such call, which then goes on; or kills its process by raising Crash."""
        self.storage.hooks.append((kind, part, lambda _: action()))

    def instead(self, kind: str, part: str, action: Callable[[Effect], None]) -> None:
        """The action takes the effect of the next such call, and raises what its sender sees."""
        self.storage.hooks.append((kind, part, action))

    def export(self, first: int, last: int) -> None:
        """Commits these envelopes; no ledger lists their files afterwards."""
        exporter = Exporter(self.storage, EXPORTING, 1 << 24, lambda: self.now, lambda: uuid.uuid4().hex)
        exporter.run(PARTITION, envelopes(first, last))
        name = Ledger.name(PARTITION)
        blob = self.storage.state[name]
        confirmed = Ledger.parse(blob.data, name).confirmed("0" * 32, self.now)
        self.storage.write(name, confirmed.dump(), blob.etag)

    def compactor(self, policy: CompactionPolicy) -> Compactor:
        """That of a process which lives on."""
        return Compactor(self.storage, policy, lambda: self.now, lambda: uuid.uuid4().hex)

    def compact(self, policy: CompactionPolicy) -> None:
        """A run of compact_logs in a process of its own, which may crash or fail."""
        with suppress(StorageError, Crash):
            self.compactor(policy).run(600)

    def crash(self) -> None:
        """Raises Crash."""
        raise Crash

    def crash_after_publishing(self) -> None:
        """The next process that publishes the output of a swap dies before it logs the swap."""
        self.before("publish", "compacted-", lambda: self.before("read output", "_delta_log/", self.crash))

    def names(self, prefix: str = f"{FOLDER}date=") -> list[str]:
        """The visible files with names that begin so."""
        return sorted(
            name for name in self.storage.output if name.startswith(prefix) and self.storage.visible(name)
        )

    def swap(self) -> Swap:
        """The one in progress."""
        swap = CompactionState.parse(self.storage.state[swaps.NAME].data).swap
        assert swap
        return swap

    def rows(self, name: str) -> Iterator[str]:
        """What identifies the rows of a visible Parquet file."""
        data = self.storage.output[name].data
        assert data is not None
        yield from pq.read_table(pa.BufferReader(data), columns=["CorrelationId"])[0].to_pylist()

    def visible(self) -> set[str]:
        """The rows of all visible files."""
        return {row for name in self.names() for row in self.rows(name)}

    def delete_file(self, name: str) -> None:
        """Somebody else deletes a file; its rows are gone, unless another one has them, too."""
        rows = set(self.rows(name))
        self.storage.remove_output(name)
        self.removed += Counter(rows - self.visible())
        self.deleted.add(name)

    def lose_log(self) -> None:
        """Somebody deletes the log; readers begin anew with the next one."""
        for name in self.names(LOG):
            self.storage.remove_output(name)
        self.watch.forget(FOLDER)
