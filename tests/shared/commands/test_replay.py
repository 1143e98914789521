"""`replay` reports the outcome of dead letters."""

import pytest

from tests.shared.commands.running import ran
from tests.shared.exported import Exported


@pytest.mark.usefixtures("filled")
def test_replay_reports_the_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    status, output = ran(capsys, "replay", "--reason", "missing_required_field")
    assert (status, output.splitlines()[0]) == (0, "2 dead letters, 0 of them replayed before")
    assert "still rejected: missing_required_field" in output


def test_replay_ends_with_status_2_after_a_damaged_file(
    filled: Exported, capsys: pytest.CaptureFixture[str]
) -> None:
    name = filled.files("_dead_letters/")[0]
    filled.overwrite(name, filled.read(name)[:-12])
    status, output = ran(capsys, "replay", "--dry-run")
    assert (status, name in output) == (2, True)
    assert ran(capsys, "replay", "--dry-run", "--json")[0] == 2
