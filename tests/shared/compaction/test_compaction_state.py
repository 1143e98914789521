"""The state of compaction is kept as a document, and remembers the folders of recent swaps."""

import pytest

from shared.compaction import compaction_state
from shared.compaction.compaction_state import CompactionState, Swap
from shared.errors import LedgerError, LedgerTooNew
from shared.protocol.ledger import PendingFile


def swap(number: int) -> Swap:
    output = PendingFile(name=f"f{number}/out", block_ids=("1",), content_type="x", metadata={}, staged_at=0)
    return Swap(folder=f"f{number}/", inputs=("a", "b"), output=output, began=0)


def test_the_state_lists_the_folders_touched_since_a_write() -> None:
    state = CompactionState()
    for number in range(3):
        state = state.beginning(swap(number)).ended()
    assert state.touched_since(0) == {"f0/", "f1/", "f2/"}
    assert state.touched_since(2) == {"f1/", "f2/"}
    assert state.touched_since(state.ordinal) == set()
    assert state.beginning(swap(9)).touched_since(state.ordinal + 1) == {"f9/"}


def test_folders_are_unknown_once_swaps_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compaction_state, "REMEMBERED", 2)
    state = CompactionState()
    for number in range(3):
        state = state.beginning(swap(number)).ended()
    assert state.touched_since(0) is None
    assert state.touched_since(2) == {"f1/", "f2/"}


def test_keys_of_a_newer_program_survive_a_rewrite() -> None:
    state = CompactionState().beginning(swap(1))
    assert CompactionState.parse(state.dump()) == state
    newer = state.dump().replace(b'{"format":1', b'{"more":[1],"format":1')
    assert b'"more":[1]' in CompactionState.parse(newer).ended().dump()


def test_a_newer_or_damaged_state_raises_an_error() -> None:
    with pytest.raises(LedgerTooNew):
        CompactionState.parse(CompactionState(format=3).dump())
    with pytest.raises(LedgerError):
        CompactionState.parse(b"{")
