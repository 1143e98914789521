"""Only an operator's acceptance resumes a partition whose ledger was lost or rolled back."""

import pytest

from shared.commands.ledger_acceptance import Blocked, Forgotten, accept, blocked, forgotten
from shared.connections import manifest
from shared.connections.manifest import Manifest, PartitionProgress
from shared.errors import LedgerError, LedgerMissing, LedgerRolledBack, PreconditionFailed
from shared.protocol.ledger import Ledger
from tests.records import PARTITION
from tests.shared.exported import Exported, envelopes


@pytest.fixture
def filled(exported: Exported) -> Exported:
    """Lets the timer see the newest ledger, and then rolls it back."""
    exported.export(envelopes(0, 9))
    old = exported.storage.read(exported.ledger_name)
    assert old
    exported.export(envelopes(10, 19))
    ledger = exported.ledger()
    seen = PartitionProgress(ledger_id=ledger.ledger_id, ordinal=ledger.ordinal, seen=ledger.ordinal)
    exported.storage.put(manifest.NAME, Manifest(partitions={str(PARTITION): seen}).dump())
    assert blocked(exported.storage) == []
    exported.storage.put(exported.ledger_name, old.data)
    return exported


def test_a_rolled_back_ledger_stops_its_partition_until_accepted(filled: Exported) -> None:
    with pytest.raises(LedgerRolledBack):
        filled.export(envelopes(10, 12))
    (one,) = blocked(filled.storage)
    accept(filled.storage, one, "a" * 32, filled.now())
    assert blocked(filled.storage) == []
    filled.export(envelopes(10, 12))
    assert filled.ledger().incarnation.next == 13


def test_a_missing_ledger_stops_its_partition_until_accepted(filled: Exported) -> None:
    filled.storage.delete([filled.ledger_name])
    with pytest.raises(LedgerMissing):
        filled.export(envelopes(20, 22))
    (one,) = blocked(filled.storage)
    accept(filled.storage, one, "a" * 32, filled.now())
    assert blocked(filled.storage) == []
    filled.export(envelopes(20, 22))
    assert filled.ledger().incarnation.next == 23


def test_possible_duplicates_are_shown_before_the_decision(filled: Exported) -> None:
    (one,) = blocked(filled.storage)
    gone = forgotten(filled.storage, one)
    known = filled.ledger().counts.files
    assert (gone.files, gone.last) == (len(filled.files()) - known, 19)
    assert gone.rows > 0
    assert forgotten(filled.storage, Blocked("ns/hub/9", None, 1)) == Forgotten(files=0, rows=0, last=-1)


@pytest.mark.parametrize(
    ("ordinal", "problem"),
    [(None, "its ledger is missing"), (4, "its ledger is at ordinal 4"), (5, "it dropped segments")],
)
def test_the_problem_of_a_stopped_partition_is_named(ordinal: int | None, problem: str) -> None:
    ledger = None if ordinal is None else Ledger(ledger_id="l", partition="ns/hub/0", ordinal=ordinal)
    assert Blocked("ns/hub/0", ledger, 5).problem.startswith(problem)


def test_a_ledger_that_changed_in_the_meantime_is_not_accepted(filled: Exported) -> None:
    (one,) = blocked(filled.storage)
    filled.storage.delete([filled.ledger_name])
    with pytest.raises(PreconditionFailed, match="check it again"):
        accept(filled.storage, one, "a" * 32, filled.now())


def test_an_unreadable_ledger_raises_an_error_with_a_remedy(filled: Exported) -> None:
    filled.storage.put(filled.ledger_name, b"{")
    with pytest.raises(LedgerError, match="restore it, or delete it"):
        blocked(filled.storage)
