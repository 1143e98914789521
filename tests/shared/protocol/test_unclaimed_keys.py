"""The ledger remembers which keys belong to no column."""

from shared.protocol.unclaimed_keys import KEPT, RECENT, UnclaimedKeys


def test_the_ledger_keeps_the_most_frequent_keys_of_recent_records() -> None:
    old = UnclaimedKeys().plus(RECENT, {"old": RECENT, "rare": 2})
    assert old.most(20) == [("old", RECENT)]
    now = old
    for _ in range(3):
        now = now.plus(RECENT // 2 + 1, {"new": RECENT // 2 + 1})
    assert [key for key, _ in now.most(20)] == ["new"]
    assert len(now.plus(9, {f"k{n}": 1 for n in range(1000)}).counts) == KEPT
    assert "z" in UnclaimedKeys().plus(2, {f"k{n}": 1 for n in range(KEPT)} | {"z": 2}).counts
    assert now.records <= RECENT
