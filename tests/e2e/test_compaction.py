"""The host runs `compact_logs`: files of a past hour become one, and the audit proves it."""

import time
import uuid

from local.stack import OUTPUT, STATE, Stack
from shared.azure import blob_storage
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope, HubPartition
from shared.policies import Connection, ExportPolicy
from shared.tables.websocket_connection_logs import RECORDS
from tests import records
from tests.audits import audited

HOURS = 3 * 3600 * 1_000_000


def test_the_host_compacts_a_past_hour(stack: Stack) -> None:
    past = time.time_ns() // 1000 - HOURS
    connection = Connection(string=stack.azurite.connection_string)
    store = blob_storage.connect(connection, connection, STATE, OUTPUT)
    exporter = Exporter(store, ExportPolicy(), 1 << 24, lambda: past, lambda: uuid.uuid4().hex)
    for sequence in range(5):
        exporter.run(HubPartition("past", "hub", "0"), [envelope(sequence, past)])
    before = stack.table(RECORDS.name).num_rows
    assert (before, len(stack.files(f"parquet/{RECORDS.name}/"))) == (5, 5)
    host = stack.host()
    host.wait_ready()
    # The other timer first, whose schedule could be in time or not: what a ledger lists is not compacted, and
    # it empties the list.
    for timer in ("finish_connections", "compact_logs"):
        host.invoke(timer)
        (ran,) = host.wait_for("invocation", function=timer, scheduled=False)
        assert ran["ok"], host.log
    names = [name.rpartition("/")[2] for name in stack.files(f"parquet/{RECORDS.name}/")]
    assert [name.startswith("compacted-") for name in names] == [True], names
    assert stack.table(RECORDS.name).num_rows == before
    report = audited(store)
    assert report.status == 0, report


def envelope(sequence: int, at: int) -> Envelope:
    return records.envelope(sequence, at, records.record(at, f"c-{sequence}"))
