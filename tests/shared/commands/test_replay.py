"""`replay` reports the outcome of dead letters."""

import pytest

from tests.shared.commands.running import ran


@pytest.mark.usefixtures("filled")
def test_replay_reports_the_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    status, output = ran(capsys, "replay", "--reason", "missing_required_field")
    assert (status, output.splitlines()[0]) == (0, "2 dead letters, 0 of them replayed before")
    assert "still rejected: missing_required_field" in output
