"""Storage that cannot be reached is one line of error."""

import pytest

from tests.shared.commands.running import ran
from tests.shared.exported import Exported


@pytest.mark.parametrize("command", ["status", "audit", "replay", "accept-ledger", "report"])
def test_an_unreachable_service_is_a_one_line_error(
    command: str, capsys: pytest.CaptureFixture[str], filled: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in filled.environment:
        monkeypatch.delenv(name, raising=False)
    assert ran(capsys, command) == (
        2,
        "error: OutputStorage: set it to a connection string, or set OutputStorage__blobServiceUri\n",
    )
    nowhere = {"STATE_CONTAINER": "not-there-either", "OUTPUT_CONTAINER": "not-there"}
    for name, value in (filled.environment | nowhere).items():
        monkeypatch.setenv(name, value)
    status, output = ran(capsys, command)
    assert (status, len(output.splitlines())) == (2, 1)
    assert "Container 'not-there' does not exist in 127.0.0.1" in output
    assert "check OUTPUT_CONTAINER" in output
