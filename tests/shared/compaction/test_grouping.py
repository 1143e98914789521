"""Files are merged by age and size, and folders are listed in turn."""

import itertools
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.compaction import grouping
from shared.compaction.grouping import RATIO, days, groups, mergeable
from shared.policies import CompactionPolicy
from shared.protocol.storage import BlobInfo
from shared.timeunits import HOUR

TEN = 1_795_168_800_000_000  # 2026-11-20 10:00 UTC
RECORDS = "parquet/ApiManagementWebSocketConnectionLogs/date=2026-11-20/hour=09/"
IDS = itertools.count(1)
METADATA = {
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
        f"{RECORDS}a-{commit_id}.parquet", size, METADATA | {"commit_id": commit_id, "committed_at": str(at)}
    )


def compacted(size: int = 1000, at: int = TEN, origins: int = 5) -> BlobInfo:
    commit_id = f"{next(IDS):032x}"
    metadata = {"compacted": str(origins), "commit_id": commit_id, "committed_at": str(at)}
    own = {name: METADATA[name] for name in ("rows", "bytes", "folder", "sha256")}
    return BlobInfo(f"{RECORDS}compacted-1-{commit_id}.parquet", size, metadata | own)


def test_an_hour_is_mergeable_once_it_is_over_and_quiet() -> None:
    files = [exported(at=TEN - 5), exported(at=TEN + 5)]
    assert mergeable(RECORDS, files, TEN + HOUR + 4, HOUR) == []
    assert mergeable(RECORDS, files, TEN + HOUR + 5, HOUR) == files
    early = [exported(at=TEN - 3 * HOUR), exported(at=TEN - 3 * HOUR)]
    assert mergeable(RECORDS, early, TEN - 1, HOUR) == []
    assert mergeable(RECORDS, early, TEN, HOUR) == early


def test_a_recently_compacted_file_is_left_alone() -> None:
    files = [exported(), exported(), compacted(at=TEN + 2 * HOUR)]
    assert mergeable(RECORDS, files, TEN + 2 * HOUR, HOUR) == files[:2]
    assert mergeable(RECORDS, files, TEN + 3 * HOUR, HOUR) == files


def test_files_of_others_and_invisible_files_are_left_alone() -> None:
    good = exported()
    other = BlobInfo(good.name, 9, {})
    invisible = BlobInfo(good.name, 0, good.metadata, visible=False)
    assert mergeable(RECORDS, [good, other, invisible], TEN + 9 * HOUR, HOUR) == [good]


@pytest.mark.parametrize(
    "folder", ["parquet/x/date=2026-11-20/", "parquet/x/date=today/hour=09/", "parquet/"]
)
def test_a_folder_without_an_hour_is_never_mergeable(folder: str) -> None:
    assert mergeable(folder, [exported(), exported()], TEN + 99 * HOUR, HOUR) == []


def sizes(found: list[list[BlobInfo]]) -> list[list[int]]:
    return [[file.size for file in group] for group in found]


def chosen(*given: int, target: int = 1000) -> list[list[int]]:
    return sizes(list(groups([exported(size) for size in given], target)))


def test_small_files_are_grouped_up_to_the_target_size() -> None:
    assert chosen(*[300] * 8) == [[300, 300, 300], [300, 300, 300], [300, 300]]
    assert chosen(499, 499) == [[499, 499]]
    assert chosen(500, 500, 10) == []
    assert chosen(10) == []


def test_a_large_file_waits_until_late_files_reach_a_quarter() -> None:
    assert chosen(400, 10, 20) == [[10, 20]]
    assert chosen(400, 30, 69) == [[30, 69]]
    assert chosen(400, 30, 70) == [[30, 70, 400]]
    assert chosen(3, 15, 16) == [[3, 15, 16]]


def test_files_and_origins_of_a_group_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "ORIGINS", 10)
    files = [compacted(10, origins=5), compacted(11, origins=5), exported(12)]
    assert sizes(list(groups(files, 1000))) == [[10, 11]]
    monkeypatch.setattr(grouping, "FILES", 3)
    assert chosen(*[10] * 7) == [[10] * 3, [10] * 3]


def test_a_full_compacted_file_does_not_block_larger_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grouping, "ORIGINS", 10)
    files = [compacted(10, origins=10), exported(12), exported(13), exported(14)]
    assert sizes(list(groups(files, 1000))) == [[12, 13, 14]]
    assert chosen(100, 450, 460) == [[450, 460]]


def test_the_rows_of_a_group_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "ROWS", 20)
    assert chosen(*[10] * 5) == [[10, 10], [10, 10]]


@given(st.lists(st.integers(1, 2000), max_size=60))
def test_files_that_stay_separate_are_large_or_grow_fast(given: list[int]) -> None:
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


def test_recent_days_are_always_listed_and_older_ones_in_turn() -> None:
    policy = CompactionPolicy(reach=timedelta(days=9))
    seen = set()
    for run in range(grouping.ROUND):
        looked = list(days(TEN + run * grouping.SLOT, policy))
        assert {"date=2026-11-20", "date=2026-11-19"} <= {one.split("/")[2] for one in looked}
        assert len(looked) <= 8
        seen.update(looked)
    assert len(seen) == 2 * 18
    assert f"{RECORDS[:-8]}".replace("2026-11-20", "2026-11-03") in seen
