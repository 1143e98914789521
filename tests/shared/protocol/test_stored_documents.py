import pytest

from shared.errors import LedgerError
from shared.protocol.ledger import Ledger
from shared.protocol.stored_documents import read, read_ledger, read_ledgers
from tests.memory import MemoryStorage
from tests.records import ONE, TWO


def stored(*ledgers: Ledger) -> MemoryStorage:
    storage = MemoryStorage()
    for ledger in ledgers:
        storage.put(f"ledgers/{ledger.partition}.json", ledger.dump())
    return storage


FIRST, SECOND = (Ledger(ledger_id=str(each), partition=str(each)) for each in (ONE, TWO))


def test_a_missing_document_is_none() -> None:
    storage = stored(FIRST)
    assert read(storage, "manifest.json", bytes.decode) is None
    assert (read_ledger(storage, ONE), read_ledger(storage, TWO)) == (FIRST, None)


def test_an_unreadable_ledger_is_reported_and_the_others_are_read() -> None:
    storage = stored(FIRST, SECOND)
    storage.put(Ledger.name(ONE), b"{")
    problems: dict[str, LedgerError] = {}
    ledgers = list(read_ledgers(storage, problems.__setitem__))
    assert ledgers == [(Ledger.name(TWO), SECOND, storage.read(Ledger.name(TWO)))]
    assert problems.keys() == {Ledger.name(ONE)}
    with pytest.raises(LedgerError, match="is damaged"):
        list(read_ledgers(storage))
