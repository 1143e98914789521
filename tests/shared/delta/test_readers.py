"""Delta readers see each row once: a container that existed, swaps, a checkpoint, a new column."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import deltalake
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from local.emulators.azurite import ACCOUNT, KEY
from shared.compaction.compactor import Compactor
from shared.compaction.summary import CompactionSummary
from shared.connections.timer import Finisher
from shared.delta import log
from shared.policies import CompactionPolicy, FinishPolicy
from shared.protocol.ledger import Ledger
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import HOUR
from tests.shared.exported import EPOCH, Exported, envelopes

LATER = EPOCH + 6 * HOUR
POLICY = CompactionPolicy(reach=timedelta(days=1), target=1 << 20, delta=True)
LISTING = replace(POLICY, enabled=False)


class Hub:
    """Says nothing: the clock of finishing goes by what was merged."""

    def ask(self) -> None:
        return None


@pytest.fixture
def filled(exported: Exported) -> Exported:
    """Commits of small batches and finished connections, without any log."""
    finish = FinishPolicy(opening=("ConnectionOpened",), closing=(), idle=timedelta(seconds=1))
    finisher = Finisher(exported.storage, Hub(), finish, exported.now, lambda: uuid.uuid4().hex)
    for first in range(0, 40, 10):
        exported.export(envelopes(first, first + 9))
        assert finisher.run(60).complete
    confirm(exported)
    return exported


def confirm(exported: Exported) -> None:
    for name in exported.storage.names("ledgers/"):
        blob = exported.storage.read(name)
        assert blob
        ledger = Ledger.parse(blob.data, name).confirmed("0" * 32, LATER)
        exported.storage.write(name, ledger.dump(), blob.etag)


def run(exported: Exported, policy: CompactionPolicy = POLICY, now: int = LATER) -> CompactionSummary:
    summary = Compactor(exported.storage, policy, lambda: now, lambda: uuid.uuid4().hex).run(600)
    assert summary.alarms == []
    return summary


def options(exported: Exported) -> dict[str, str]:
    return {
        "azure_storage_account_name": ACCOUNT,
        "azure_storage_account_key": KEY,
        "azure_storage_endpoint": exported.output.primary_endpoint.rsplit("/", 1)[0],
        "allow_http": "true",
    }


def uri(exported: Exported, table: str) -> str:
    return f"az://{exported.output.container_name}/parquet/{table}"


def by_deltalake(exported: Exported, table: str) -> pa.Table:
    found = deltalake.DeltaTable(uri(exported, table), storage_options=options(exported))
    return found.to_pyarrow_table()


def by_polars(exported: Exported, table: str) -> pa.Table:
    found = pl.scan_delta(uri(exported, table), storage_options=options(exported))
    return found.collect().to_arrow()


def by_folders(exported: Exported, table: str) -> pa.Table:
    """What a reader of the folders sees, with the values of `date` and `hour` from the path."""
    tables = []
    for name in exported.files(f"parquet/{table}/date="):
        rows = pq.read_table(pa.BufferReader(exported.read(name)), partitioning=None)
        date, hour = (part.partition("=")[2] for part in name.split("/")[2:4])
        for key, value in {"date": date, "hour": hour}.items():
            rows = rows.append_column(key, pa.array([value] * len(rows)))
        tables.append(rows)
    return pa.concat_tables(tables, promote_options="permissive")


def rows(table: pa.Table) -> list[list[tuple[str, Any]]]:
    """All rows with the names of their values; `date` as text."""
    found = [row | {"date": str(row["date"])} for row in table.to_pylist()]
    return sorted((sorted(row.items()) for row in found), key=repr)


READERS = {"deltalake": by_deltalake, "polars": by_polars}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS.keys())
def test_readers_agree_with_the_folders(
    filled: Exported,
    reader: Callable[[Exported, str], pa.Table],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def agree(table: str = RECORDS.name) -> None:
        assert rows(reader(filled, table)) == rows(by_folders(filled, table))

    run(filled, LISTING)
    for table in (RECORDS.name, CONNECTIONS.name):
        agree(table)
    assert run(filled).swaps
    for table in (RECORDS.name, CONNECTIONS.name):
        agree(table)
    # Later commits, a swap and a checkpoint.
    monkeypatch.setattr(log, "CHECKPOINT_VERSIONS", 1)
    filled.export(envelopes(40, 49))
    confirm(filled)
    run(filled, LISTING, LATER + HOUR)
    assert any(
        name.endswith(".checkpoint.parquet") for name in filled.files(f"parquet/{RECORDS.name}/_delta")
    )
    agree()
    assert run(filled, now=LATER + 3 * HOUR).swaps
    agree()
