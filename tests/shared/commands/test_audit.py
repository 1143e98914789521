"""`audit` prints its verdict and returns it as the exit status."""

import pytest

from tests.shared.commands.running import ran, run
from tests.shared.exported import Exported


def test_audit_ends_with_its_verdict_as_exit_status(
    filled: Exported, capsys: pytest.CaptureFixture[str]
) -> None:
    status, output = ran(capsys, "audit", "--deep")
    assert (status, output.splitlines()[-1]) == (0, "audit: proven")
    assert max(map(len, output.splitlines())) <= 80
    filled.output.delete_blob(filled.files()[0])
    status, output = ran(capsys, "audit")
    assert (status, output.splitlines()[-1]) == (1, "audit: refuted")
    assert "lacks 1 of its files" in " ".join(output.split())
    for line in output.splitlines():
        assert len(line) <= 80 or len(line.split()) == 1, "findings are wrapped, except for names"
    filled.storage.delete([filled.ledger_name])
    for name in filled.files():
        filled.output.delete_blob(name)
    assert ran(capsys, "audit")[0] == 2


def test_a_pipe_gets_no_colors_and_no_progress(filled: Exported) -> None:
    done = run("-m", "shared", "audit", **filled.environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\033" not in done.stdout
