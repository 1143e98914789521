"""Swaps are chosen by age and size of files, and survive in the state."""

import itertools
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.compaction import swaps
from shared.compaction.swaps import RATIO, CompactionState, Swap, days, groups, ripe
from shared.errors import LedgerError, LedgerTooNew
from shared.policies import CompactionPolicy
from shared.protocol.ledger import PendingFile
from shared.protocol.storage import BlobInfo
from shared.timeunits import HOUR

TEN = 1_795_168_800_000_000  # 2026-11-20 10:00 UTC
RECORDS = "parquet/ApiManagementWebSocketConnectionLogs/date=2026-11-20/hour=09/"
IDS = itertools.count(1)
SAID = {
    **dict.fromkeys(("partition", "ledger_id", "formats", "verdict"), "x"),
    **dict.fromkeys(
        ("ordinal", "incarnation", "commit_files", "commit_rows", "files_before", "rows_before"), "1"
    ),
    **dict.fromkeys(("rejected_before", "skipped_before", "envelopes_before"), "0"),
    **dict.fromkeys(("commit_rejected", "commit_skipped", "bytes", "chain_before", "sha256"), "0"),
    "folder": RECORDS,
    "sequences": "1-5",
    "rows": "7",
}


def exported(size: int = 1000, at: int = TEN) -> BlobInfo:
    commit_id = f"{next(IDS):032x}"
    return BlobInfo(
        f"{RECORDS}a-{commit_id}.parquet", size, SAID | {"commit_id": commit_id, "committed_at": str(at)}
    )


def compacted(size: int = 1000, at: int = TEN, origins: int = 5) -> BlobInfo:
    commit_id = f"{next(IDS):032x}"
    metadata = {"compacted": str(origins), "commit_id": commit_id, "committed_at": str(at)}
    own = {name: SAID[name] for name in ("rows", "bytes", "folder", "sha256")}
    return BlobInfo(f"{RECORDS}compacted-1-{commit_id}.parquet", size, metadata | own)


def test_an_hour_is_ripe_once_it_is_over_and_was_quiet() -> None:
    files = [exported(at=TEN - 5), exported(at=TEN + 5)]
    assert ripe(RECORDS, files, TEN + HOUR + 4, HOUR) == []
    assert ripe(RECORDS, files, TEN + HOUR + 5, HOUR) == files
    early = [exported(at=TEN - 3 * HOUR), exported(at=TEN - 3 * HOUR)]
    assert ripe(RECORDS, early, TEN - 1, HOUR) == []
    assert ripe(RECORDS, early, TEN, HOUR) == early


def test_a_freshly_compacted_file_is_left_alone() -> None:
    files = [exported(), exported(), compacted(at=TEN + 2 * HOUR)]
    assert ripe(RECORDS, files, TEN + 2 * HOUR, HOUR) == files[:2]
    assert ripe(RECORDS, files, TEN + 3 * HOUR, HOUR) == files


def test_what_is_not_the_programs_own_or_not_visible_is_left_alone() -> None:
    good = exported()
    bad = [
        BlobInfo(
            good.name.replace("a-", "copied-").replace(good.metadata["commit_id"], "f"), 9, good.metadata
        ),
        BlobInfo(good.name, 9, {}),
        BlobInfo(good.name, 9, {**good.metadata, "rows": "many"}),
        BlobInfo(good.name, 9, {**good.metadata, "sequences": "?"}),
        BlobInfo(good.name, 9, {k: v for k, v in good.metadata.items() if k != "sha256"}),
        BlobInfo(good.name.replace(".parquet", ".csv"), 9, good.metadata),
        BlobInfo(good.name, 0, good.metadata, visible=False),
    ]
    assert ripe(RECORDS, [good, *bad], TEN + 9 * HOUR, HOUR) == [good]


@pytest.mark.parametrize(
    "folder", ["parquet/x/date=2026-11-20/", "parquet/x/date=today/hour=09/", "parquet/"]
)
def test_a_folder_that_is_no_hour_is_never_ripe(folder: str) -> None:
    assert ripe(folder, [exported(), exported()], TEN + 99 * HOUR, HOUR) == []


def sizes(found: list[list[BlobInfo]]) -> list[list[int]]:
    return [[file.size for file in group] for group in found]


def chosen(*given: int, target: int = 1000) -> list[list[int]]:
    return sizes(list(groups([exported(size) for size in given], target)))


def test_small_files_are_put_together_as_many_as_the_target_holds() -> None:
    assert chosen(*[300] * 8) == [[300, 300, 300], [300, 300, 300], [300, 300]]
    assert chosen(499, 499) == [[499, 499]]
    assert chosen(500, 500, 10) == []
    assert chosen(10) == []


def test_a_large_file_waits_until_late_ones_are_a_quarter_of_it() -> None:
    assert chosen(400, 10, 20) == [[10, 20]]
    assert chosen(400, 30, 69) == [[30, 69]]
    assert chosen(400, 30, 70) == [[30, 70, 400]]
    assert chosen(3, 15, 16) == [[3, 15, 16]]


def test_no_file_stands_for_more_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swaps, "ORIGINS", 10)
    files = [compacted(10, origins=5), compacted(11, origins=5), exported(12)]
    assert sizes(list(groups(files, 1000))) == [[10, 11]]
    monkeypatch.setattr(swaps, "FILES", 3)
    assert chosen(*[10] * 7) == [[10] * 3, [10] * 3]


def test_a_full_compacted_file_does_not_block_larger_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(swaps, "ORIGINS", 10)
    files = [compacted(10, origins=10), exported(12), exported(13), exported(14)]
    assert sizes(list(groups(files, 1000))) == [[12, 13, 14]]
    assert chosen(100, 450, 460) == [[450, 460]]


def test_a_swap_has_no_more_rows_than_a_run_has_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swaps, "ROWS", 20)
    assert chosen(*[10] * 5) == [[10, 10], [10, 10]]


@given(st.lists(st.integers(1, 2000), max_size=60))
def test_what_stays_apart_is_large_or_grows_fast(given: list[int]) -> None:
    found = [size for group in chosen(*given) for size in group]
    left = list(given)
    for size in found:
        left.remove(size)
    small = sorted(size for size in left if size < 500)
    for number, size in enumerate(small[1:], 1):
        assert size > RATIO * sum(small[:number]) or sum(small[: number + 1]) > 1000


def test_single_rows_are_rewritten_a_logarithmic_number_of_times() -> None:
    files, written = [1] * 0, 0
    for _ in range(2000):
        files.append(1)
        for group in chosen(*files, target=1 << 30):
            written += sum(group)
            for size in group:
                files.remove(size)
            files.append(sum(group))
    assert written < 2000 * 12
    assert len(files) < 8


def test_days_are_looked_at_in_turn_and_recent_ones_always() -> None:
    policy = CompactionPolicy(reach=timedelta(days=9))
    seen = set()
    for run in range(swaps.ROUND):
        looked = list(days(TEN + run * swaps.SLOT, policy))
        assert {"date=2026-11-20", "date=2026-11-19"} <= {one.split("/")[2] for one in looked}
        assert len(looked) <= 8
        seen.update(looked)
    assert len(seen) == 2 * 18
    assert f"{RECORDS[:-8]}".replace("2026-11-20", "2026-11-03") in seen


def swap(number: int) -> Swap:
    output = PendingFile(name=f"f{number}/out", block_ids=("1",), content_type="x", metadata={}, staged_at=0)
    return Swap(folder=f"f{number}/", inputs=("a", "b"), output=output, began=0)


def test_the_state_says_which_folders_were_touched_since() -> None:
    state = CompactionState()
    for number in range(3):
        state = state.beginning(swap(number)).ended()
    assert state.touched_since(0) == {"f0/", "f1/", "f2/"}
    assert state.touched_since(2) == {"f1/", "f2/"}
    assert state.touched_since(state.ordinal) == set()
    assert state.beginning(swap(9)).touched_since(state.ordinal + 1) == {"f9/"}


def test_what_is_forgotten_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swaps, "REMEMBERED", 2)
    state = CompactionState()
    for number in range(3):
        state = state.beginning(swap(number)).ended()
    assert state.touched_since(0) is None
    assert state.touched_since(2) == {"f1/", "f2/"}


def test_the_state_reads_back_with_what_a_newer_program_added() -> None:
    state = CompactionState().beginning(swap(1))
    assert CompactionState.parse(state.dump()) == state
    newer = state.dump().replace(b'{"format":1', b'{"more":[1],"format":1')
    assert b'"more":[1]' in CompactionState.parse(newer).ended().dump()


def test_a_state_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(LedgerTooNew):
        CompactionState.parse(CompactionState(format=3).dump())
    with pytest.raises(LedgerError):
        CompactionState.parse(b"{")
