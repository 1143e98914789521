"""A ledger with very many gaps, as after replays of scattered dead letters, stays small and fast."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import LedgerError
from shared.input.envelope import Envelope
from shared.protocol.documents import MAX_BYTES
from shared.protocol.incarnation import Incarnation
from shared.protocol.ledger import Ledger
from shared.protocol.packed_intervals import PLAIN, packed, unpacked
from shared.protocol.selection import advance, select

GAPS = 500_000


@pytest.fixture(scope="module")
def scattered() -> Ledger:
    """Half a million dead letters at random distances were replayed."""
    rng = np.random.default_rng(1)
    replayed = np.cumsum(rng.integers(2, 200, GAPS + 1))
    gaps = tuple((int(a) + 1, int(b) - 1) for a, b in pairwise(replayed))
    now = Incarnation(next=int(replayed[-1]) + 1, newest=9, began=0, gaps=((0, int(replayed[0]) - 1), *gaps))
    return Ledger(ledger_id="l", partition="ns/hub/0~0", incarnation=now)


def test_a_ledger_with_half_a_million_gaps_is_stored(scattered: Ledger) -> None:
    data = scattered.dump()
    assert len(data) < MAX_BYTES / 2
    assert Ledger.parse(data, "l") == scattered


def test_many_gaps_do_not_slow_down_scattered_envelopes(scattered: Ledger) -> None:
    batch = [Envelope(first, 5, b"") for first, _ in scattered.incarnation.gaps[:: GAPS // 500]]
    ledger, taken = scattered, 0
    while selection := select(ledger, batch):
        ledger = advance(selection.ledger, selection.verdict, selection.envelopes)
        taken += len(selection.envelopes)
    assert taken == len(batch)
    missing = sum(last - first + 1 for first, last in ledger.incarnation.gaps)
    assert missing == sum(last - first + 1 for first, last in scattered.incarnation.gaps) - taken


@given(st.lists(st.integers(0, 1 << 40), unique=True, min_size=2, max_size=40).map(sorted))
def test_intervals_survive_being_packed(numbers: list[int]) -> None:
    some = list(zip(numbers[::2], numbers[1::2], strict=False))
    many = [
        *((n * 2, n * 2) for n in range(PLAIN + 1)),
        *((first + 30_000, last + 30_000) for first, last in some),
    ]
    assert packed(some) is some
    text = packed(many)
    assert isinstance(text, str)
    assert list(unpacked(text)) == many


def test_a_few_gaps_stay_readable() -> None:
    few = Ledger(ledger_id="l", partition="p", incarnation=Incarnation(next=9, gaps=((1, 2),)))
    assert b'"gaps":[[1,2]]' in few.dump()


def test_damaged_gaps_are_an_error_of_the_ledger(scattered: Ledger) -> None:
    data = scattered.dump()
    at = data.index(b'"gaps":"') + 100
    with pytest.raises(LedgerError):
        Ledger.parse(data[:at] + data[at + 5 :], "l")
