"""An operator's word lets a source go on whose ledger was lost or rolled back, and nothing else does."""

import pytest

from shared.adopt import adopt, blocked, forgotten
from shared.durations import head
from shared.durations.head import Absorbed, Head
from shared.errors import LedgerError, LedgerMissing, LedgerRolledBack, Refused
from tests.shared.exported import SOURCE, Exported, envelopes


@pytest.fixture
def filled(exported: Exported) -> Exported:
    """The timer has seen the ledger at its end; then it was rolled back."""
    exported.export(envelopes(0, 9))
    old = exported.storage.read(exported.ledger_name)
    assert old
    exported.export(envelopes(10, 19))
    ledger = exported.ledger()
    seen = Absorbed(ledger_id=ledger.ledger_id, ordinal=ledger.ordinal, seen=ledger.ordinal)
    exported.storage.put(head.NAME, Head(sources={str(SOURCE): seen}).dump())
    assert blocked(exported.storage) == []
    exported.storage.put(exported.ledger_name, old.data)
    return exported


def test_a_ledger_that_was_rolled_back_stops_its_source_until_it_is_adopted(filled: Exported) -> None:
    with pytest.raises(LedgerRolledBack):
        filled.export(envelopes(10, 12))
    (one,) = blocked(filled.storage)
    adopt(filled.storage, one, "a" * 32, filled.now())
    assert blocked(filled.storage) == []
    filled.export(envelopes(10, 12))
    assert filled.ledger().incarnation.next == 13


def test_a_ledger_that_is_gone_stops_its_source_until_that_is_adopted(filled: Exported) -> None:
    filled.storage.delete([filled.ledger_name])
    with pytest.raises(LedgerMissing):
        filled.export(envelopes(20, 22))
    (one,) = blocked(filled.storage)
    adopt(filled.storage, one, "a" * 32, filled.now())
    assert blocked(filled.storage) == []
    filled.export(envelopes(20, 22))
    assert filled.ledger().incarnation.next == 23


def test_before_one_decides_one_sees_what_may_come_out_twice(filled: Exported) -> None:
    (one,) = blocked(filled.storage)
    gone = forgotten(filled.storage, one)
    known = filled.ledger().counts.files
    assert (gone.files, gone.last) == (len(filled.files()) - known, 19)
    assert gone.rows > 0


def test_a_ledger_that_changed_meanwhile_is_not_adopted(filled: Exported) -> None:
    (one,) = blocked(filled.storage)
    filled.storage.delete([filled.ledger_name])
    with pytest.raises(Refused, match="look at it again"):
        adopt(filled.storage, one, "a" * 32, filled.now())


def test_a_ledger_that_cannot_be_read_says_what_to_do(filled: Exported) -> None:
    filled.storage.put(filled.ledger_name, b"{")
    with pytest.raises(LedgerError, match="restore it, or delete it"):
        blocked(filled.storage)
