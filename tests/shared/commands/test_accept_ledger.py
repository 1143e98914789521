"""`accept-ledger` explains what it would do, and changes a ledger only with `--yes`."""

import pytest

from shared.connections import manifest
from shared.connections.manifest import Manifest, PartitionProgress
from tests.records import PARTITION
from tests.shared.commands.running import ran
from tests.shared.exported import Exported


def test_accept_ledger_changes_nothing_without_yes(
    filled: Exported, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ran(capsys, "accept-ledger") == (0, "0 partitions are stopped\n")
    seen = PartitionProgress(ledger_id="another", ordinal=1, seen=1)
    filled.storage.put(manifest.NAME, Manifest(partitions={str(PARTITION): seen}).dump())
    assert ran(capsys, "accept-ledger")[0] == 1
    status, output = ran(capsys, "accept-ledger", str(PARTITION))
    assert status == 1
    assert "exported twice" in output
    assert output.endswith("Nothing was changed: add --yes to make the change.\n")
    assert ran(capsys, "accept-ledger")[0] == 1
    assert ran(capsys, "accept-ledger", str(PARTITION), "--yes")[0] == 0
    assert ran(capsys, "accept-ledger") == (0, "0 partitions are stopped\n")
