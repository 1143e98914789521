"""`compact` runs the timer's work once, on Azurite."""

from dataclasses import replace
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared import __main__
from shared.commands.compact import compact
from shared.policies import CompactionPolicy
from tests.records import PARTITION
from tests.shared.exported import Exported


def test_compact_merges_a_quiet_hour_and_reports_it(
    exported: Exported, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in exported.environment.items():
        monkeypatch.setenv(name, value)
    exported.export_hours_ago(PARTITION, ["ConnectionOpened", "Message", "Message", "ConnectionClosed"])
    before = exported.files("parquet/")
    assert len(before) == 4
    # The command itself waits until the hour has been quiet.
    assert __main__.main(["compact"]) == 0
    assert exported.files("parquet/") == before
    policy = replace(CompactionPolicy(), quiet=timedelta(0), reach=timedelta(days=2))
    assert compact(exported.storage, policy, 60) == 0
    # The ledger still lists the file of its last commit.
    assert "3 files" in capsys.readouterr().out
    files = exported.files("parquet/")
    assert len(files) == 2
    assert sum("/compacted-" in name for name in files) == 1
    assert sum(pq.read_table(pa.BufferReader(exported.read(name))).num_rows for name in files) == 4
    assert compact(exported.storage, policy, 60) == 0
    assert exported.files("parquet/") == files
