"""Everything that reads listings works on accounts that list directories."""

import itertools
from datetime import timedelta

import pytest
from azure.storage.blob import BlobServiceClient

from shared.commands import ledger_acceptance
from shared.commands.status_query import status
from shared.compaction.compactor import Compactor
from shared.connections.timer import Finisher
from shared.export.exporter import Exporter
from shared.policies import CompactionPolicy, ExportPolicy, FinishPolicy
from shared.protocol.storage import LogStorage
from shared.timeunits import HOUR, SECOND
from tests import records
from tests.audits import audited
from tests.directories import azurite_with_directories
from tests.memory import MemoryStorage, StillHub
from tests.records import EPOCH, PARTITION

FINISHING = FinishPolicy(idle=timedelta(hours=1))
COMPACTING = CompactionPolicy(reach=timedelta(days=1))


@pytest.fixture(params=["memory", "azurite"])
def store(request: pytest.FixtureRequest, unique: str) -> LogStorage:
    if request.param == "memory":
        return MemoryStorage(lambda: EPOCH, hierarchical=True)
    azurite = request.getfixturevalue("azurite")
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        service.create_container(f"{unique}-state")
        service.create_container(f"{unique}-output")
    return azurite_with_directories(azurite, unique)


def test_export_finishing_compaction_status_and_audit_work(store: LogStorage) -> None:
    now = [EPOCH]
    ids = itertools.count(1)

    def new_id() -> str:
        return f"{next(ids):032x}"

    exporter = Exporter(store, ExportPolicy(), 1 << 26, lambda: now[0], new_id)
    for sequence in range(4):
        now[0] += SECOND
        record = records.record(now[0], f"c{sequence}")
        exporter.run(PARTITION, [records.envelope(sequence, now[0], record)])
    timer = Finisher(store, StillHub(), FINISHING, lambda: now[0], new_id)
    for _ in range(4):
        now[0] += HOUR
        assert timer.run(50).alarms == []
    now[0] += HOUR
    compacted = Compactor(store, COMPACTING, lambda: now[0], new_id).run(100)
    assert (compacted.alarms, [one.files for one in compacted.swaps]) == ([], [4])
    assert Compactor(store, COMPACTING, lambda: now[0], new_id).run(100).alarms == []
    assert ledger_acceptance.blocked(store) == []
    assert [one.partition for one in status(store, FINISHING, None, now[0]).partitions] == [str(PARTITION)]
    report = audited(store)
    assert (report.status, [one.findings for one in report.partitions]) == (0, [[]])
