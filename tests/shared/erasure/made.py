"""A container in memory with exported records and connections of two clients."""

import gzip
import io
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

import orjson
import pyarrow.parquet as pq

from shared.audit.audit import Report
from shared.compaction.compactor import Compactor
from shared.connections.timer import Finisher
from shared.erasure.file_eraser import Erased, Eraser
from shared.erasure.selection import Selection
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.output.layout import is_delta_log
from shared.policies import CompactionPolicy, ExportPolicy, FinishPolicy
from shared.timeunits import HOUR, SECOND
from tests import records
from tests.audits import audited
from tests.memory import MemoryStorage, StillHub
from tests.records import EPOCH, LATER, PARTITION

BOTH = ("parquet", "json")
HIM, HER = "10.0.0.1", "10.0.0.11"
"""Two clients: the first one is erased, the second one stays."""
EXPORTING = ExportPolicy(formats=BOTH, commit_bytes=2000)
COMPACTING = CompactionPolicy(reach=timedelta(days=1), target=1 << 20)


def source(sequence: int, index: int) -> str:
    return HIM if (sequence + index) % 3 == 0 and sequence % 10 != 9 else HER


def envelope(sequence: int, size: int = 3) -> Envelope:
    """In every fifth envelope, one record has no time and is rejected."""
    enqueued = EPOCH + sequence * SECOND
    found: list[dict[str, Any]] = [
        records.record(
            EPOCH - (sequence % 2) * HOUR,
            f"c-{sequence}-{index}",
            resourceId=records.RESOURCE,
            properties={"eventName": "ConnectionOpened", "source": source(sequence, index)},
        )
        for index in range(size)
    ]
    if sequence % 5 == 4:
        del found[0]["time"]
    return records.envelope(sequence, enqueued, *found)


@dataclass
class Made:
    """The container, and a clock that only advances with exports and finishing."""

    storage: MemoryStorage = field(default_factory=MemoryStorage)
    now: int = EPOCH + 60 * SECOND
    policy: ExportPolicy = EXPORTING
    compacting: CompactionPolicy = COMPACTING

    ids_given: int = 0

    def new_id(self) -> str:
        self.ids_given += 1
        return f"{self.ids_given:032x}"

    def tick(self) -> int:
        self.now += SECOND
        return self.now

    def export(self, first: int, last: int) -> None:
        exporter = Exporter(self.storage, self.policy, 1 << 24, self.tick, self.new_id)
        exporter.run(PARTITION, [envelope(number) for number in range(first, last + 1)])

    def finish(self, idle: timedelta = timedelta(seconds=1)) -> None:
        """Merges what was exported, and writes connections that were idle for this long."""
        policy = FinishPolicy(formats=BOTH, closing=(), idle=idle)
        for _ in range(2):  # the second run publishes, and empties the list
            assert Finisher(self.storage, StillHub(), policy, self.tick, self.new_id).run(60).complete
            self.now += 300 * SECOND

    def compact(self) -> list[str]:
        """Compacts, and returns the alarms."""
        return Compactor(self.storage, self.compacting, self.tick, self.new_id).run(600).alarms

    def eraser(self, selection: Selection) -> Eraser:
        return Eraser(self.storage, self.compacting, selection, lambda: self.now, self.new_id)

    def erase(self, selection: Selection) -> Erased:
        return self.eraser(selection).erase(lambda *_: None)

    def files(self) -> list[str]:
        return [
            name
            for name in sorted(self.storage.output)
            if self.storage.visible(name) and not is_delta_log(name)
        ]

    def rows(self, prefix: str) -> Iterator[dict[str, Any]]:
        for name in self.files():
            if name.startswith(prefix):
                data = self.storage.output[name].data or b""
                if name.endswith(".parquet"):
                    yield from pq.read_table(io.BytesIO(data)).to_pylist()
                else:
                    yield from map(orjson.loads, gzip.decompress(data).splitlines())

    def ids(self, prefix: str) -> Counter[str]:
        return Counter(row["CorrelationId"] for row in self.rows(prefix))

    def audit(self, *, deep: bool = True, since: int = 0) -> Report:
        return audited(self.storage, since, deep=deep)


def filled() -> Made:
    """Returns containers with commits and finished connections, hours later."""
    return deepcopy(_filled())


@cache
def _filled() -> Made:
    made = Made()
    for first in range(0, 20, 10):
        made.export(first, first + 9)
        made.finish()
    made.now = LATER
    return made
