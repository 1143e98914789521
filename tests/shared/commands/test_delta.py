"""`delta` shows and removes Delta logs."""

from dataclasses import replace

import pytest

from shared.commands import delta as command
from shared.errors import SettingError
from shared.export.exporter import Exporter
from tests.memory import confirm
from tests.records import PARTITION
from tests.shared.compaction.test_delta_tables import COMPACTING, LOG, Account, account
from tests.shared.exported import POLICY, envelopes

__all__ = ["account"]


def test_the_command_shows_and_removes_logs(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    none = "No table has a Delta log"
    assert command.show(account.storage) == 0
    assert none in capsys.readouterr().out
    account.compact()
    assert command.show(account.storage) == 0
    out = capsys.readouterr().out
    assert f"{LOG}: version " in out
    assert none not in out
    with pytest.raises(SettingError, match="DELTA_LOG"):
        command.remove(account.storage, COMPACTING)
    before = account.files()
    assert command.remove(account.storage, replace(COMPACTING, delta=False)) == 0
    assert not [name for name in account.storage.output if "_delta_log" in name]
    assert account.files() == before
    assert account.state().format == 1
    assert account.compact(replace(COMPACTING, delta=False)).alarms == []


def test_a_damaged_log_does_not_hide_the_next_one(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    both = replace(POLICY, categories=("GatewayLogs", "WebSocketConnectionLogs"))
    Exporter(account.storage, both, 1 << 24, lambda: account.now, lambda: "c" * 32).run(
        PARTITION, envelopes(30, 49)
    )
    confirm(account.storage, account.now)
    account.compact()
    damaged = "parquet/ApiManagementGatewayLogs/_delta_log/"
    versions = sum(name.startswith(damaged) and name.endswith(".json") for name in account.storage.output)
    account.storage.put_output(f"{damaged}{versions:020d}.json", b"{", {}, replace=False)
    assert command.show(account.storage) == 1
    out = capsys.readouterr().out
    assert out.index(damaged) < out.index(f"{LOG}: version ")
