"""`delta` shows and removes Delta logs."""

from dataclasses import replace

import pytest

from shared.commands import delta as command
from shared.errors import SettingError
from tests.shared.compaction.test_delta_tables import COMPACTING, LOG, Account, account

__all__ = ["account"]


def test_the_command_shows_and_removes_logs(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.show(account.storage) == 0
    account.compact()
    assert command.show(account.storage) == 0
    assert f"{LOG}: version " in capsys.readouterr().out
    with pytest.raises(SettingError, match="DELTA_LOG"):
        command.remove(account.storage, COMPACTING)
    before = account.files()
    assert command.remove(account.storage, replace(COMPACTING, delta=False)) == 0
    assert not [name for name in account.storage.output if "_delta_log" in name]
    assert account.files() == before
    assert account.state().format == 1
    assert account.compact(replace(COMPACTING, delta=False)).alarms == []
