"""Whatever storage does from any request on, a run ends in time, and the next run repairs everything.

Each case has separate containers and a proxy. The cases run at the same time, because they mostly wait.
"""

import itertools
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from azure.storage.blob import BlobServiceClient

from local.emulators.azurite import Azurite
from shared.azure import blob_storage
from shared.compaction.compactor import Compactor
from shared.connections.timer import Finisher
from shared.errors import PlanningFailed, StorageError
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.policies import CompactionPolicy, Connection, ExportPolicy, FinishPolicy, StorageTimeouts
from shared.protocol.storage import LogStorage
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import HOUR, SECOND
from tests import records
from tests.campaigns.faults.proxy import DRIP, LATE, STALLED, Proxy
from tests.effort import FULL, some
from tests.memory import StillHub
from tests.records import EPOCH, PARTITION

TIMEOUTS = StorageTimeouts(attempt=0.3, call=0.8, backoff=0.05)
CALM = StorageTimeouts()
LIMIT = 1.5
"""Seconds that a run may take."""
SLACK = 10
"""Additional seconds for a busy machine. Without deadlines, a run takes minutes."""
FAULTS = ("503", STALLED, LATE, DRIP, "reset")
TIMER_FAULTS = ("503", DRIP)
AT_ONCE = 16


class Account:
    """Containers, reached directly or through a proxy that disturbs each request from a certain one on."""

    def __init__(self, azurite: Azurite, proxy: Proxy) -> None:
        name = uuid.uuid4().hex
        self.now = EPOCH
        self.proxy = proxy
        proxy.pace = 0.1
        service = BlobServiceClient.from_connection_string(azurite.connection_string)
        service.create_container(f"{name}-state")
        self.output = service.create_container(f"{name}-output")
        through = azurite.connection_string.replace(str(azurite.port), str(proxy.port))
        self.calm, self.faulty = (
            blob_storage.connect(
                Connection(string=string),
                Connection(string=string),
                f"{name}-state",
                f"{name}-output",
                timeouts,
            )
            for string, timeouts in ((azurite.connection_string, CALM), (through, TIMEOUTS))
        )

    def export(self, last: int, through: LogStorage, seconds: float) -> None:
        exporter = Exporter(through, ExportPolicy(), 1 << 26, lambda: self.now, new_id, seconds=seconds)
        exporter.run(PARTITION, [envelope(sequence) for sequence in range(last + 1)])

    def finish(self, through: LogStorage, seconds: float) -> None:
        policy = FinishPolicy(idle=timedelta(hours=1), quiet=timedelta(hours=1))
        Finisher(through, StillHub(), policy, lambda: self.now, new_id, seconds).run(50)

    def compact(self, through: LogStorage, seconds: float) -> None:
        Compactor(through, CompactionPolicy(reach=timedelta(days=1)), lambda: self.now, new_id, seconds).run(
            50
        )

    def rows(self) -> Counter[tuple[int, int]]:
        """Counts how often each record is visible, by sequence number and index."""
        found: Counter[tuple[int, int]] = Counter()
        for name in self.output.list_blob_names():
            if RECORDS.name in name and "_dead_letters" not in name:
                table = pq.read_table(pa.BufferReader(self.output.download_blob(name).readall()))
                found.update(
                    zip(table["_SequenceNumber"].to_pylist(), table["_RecordIndex"].to_pylist(), strict=True)
                )
        return found


def envelope(sequence: int) -> Envelope:
    found = [records.record(EPOCH - index * HOUR, f"c{sequence}-{index}") for index in range(2)]
    return records.envelope(sequence, EPOCH + sequence, *found)


def new_id() -> str:
    return uuid.uuid4().hex


@contextmanager
def account(azurite: Azurite) -> Iterator[Account]:
    with Proxy(azurite.port, 1) as proxy:
        yield Account(azurite, proxy)


def exported(to: Account) -> None:
    to.export(2, to.calm, 60)


def committed_twice(to: Account) -> None:
    exported(to)
    to.now += SECOND
    to.export(4, to.calm, 60)
    to.now += 5 * HOUR


def finished(to: Account) -> None:
    committed_twice(to)
    to.finish(to.calm, 60)


RUNS: dict[str, tuple[Callable[[Account], None], Callable[[Account, LogStorage, float], None], int]] = {
    "the first commit": (lambda _: None, lambda to, through, seconds: to.export(2, through, seconds), 9),
    "a commit": (exported, lambda to, through, seconds: to.export(4, through, seconds), 12),
    "finish_connections": (committed_twice, Account.finish, 15),
    "compact_logs": (finished, Account.compact, 15),
}
"""The preparation, the action, and the minimum number of requests that the action makes."""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # abandoned calls
@pytest.mark.parametrize("what", RUNS)
def test_a_run_ends_in_time_however_storage_behaves(azurite: Azurite, what: str) -> None:
    before, run, least = RUNS[what]
    asked: list[str] = []

    def ask(request: str) -> str:
        asked.append(request)
        return ""

    with account(azurite) as to:
        before(to)
        to.proxy.choose = ask
        patient = blob_storage.BlobStorage(to.faulty._state, to.faulty._output, CALM)
        run(to, patient, 60)
        expected = to.rows()
    assert len(asked) >= least, asked

    def case(number: int, fault: str) -> str | None:
        with account(azurite) as to:
            before(to)
            requests = itertools.count()
            to.proxy.choose = lambda _: fault if next(requests) >= number else ""
            began = monotonic()
            error = None
            try:
                run(to, to.faulty, LIMIT)
            except (StorageError, PlanningFailed) as raised:  # planning takes long on a busy machine
                error = raised
            took = monotonic() - began
            to.proxy.calm()
            to.now += 3 * 60 * SECOND
            run(to, to.calm, 60)
            if error and took < LIMIT + SLACK and to.rows() == expected:
                return None
            return f"{fault} from {asked[number]} on: {error!r} after {took:.1f} s, then {to.rows()}"

    numbers = range(len(asked))
    each = zip(some(numbers, 2), itertools.cycle(FAULTS if "commit" in what else TIMER_FAULTS), strict=False)
    cases = list(itertools.product(numbers, FAULTS) if FULL and "commit" in what else each)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        failures = [found for found in pool.map(case, *zip(*cases, strict=True)) if found]
    assert not failures, f"{len(failures)} of {len(cases)}"
    assert expected
    assert max(expected.values()) == 1
