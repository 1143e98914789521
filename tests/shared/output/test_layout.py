from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.input.hub_partition import HubPartition
from shared.output import layout
from shared.timeunits import HOUR

TIME = pa.timestamp("us", "UTC")
START = 1893553200 * 1_000_000  # 2030-01-02T03:00:00Z


def table(times: list[int]) -> pa.Table:
    return pa.table({"TimeGenerated": pa.array(times, pa.int64()).cast(TIME), "row": list(range(len(times)))})


@given(st.lists(st.integers(START - 200 * HOUR, START + 2 * HOUR), max_size=30), st.integers(1, 5))
def test_folders_divide_the_rows_and_keep_their_order(times: list[int], rows_per_file: int) -> None:
    whole = table(times)
    groups = layout.split(whole, rows_per_file=rows_per_file)
    rows = [row for group in groups for row in group.table["row"].to_pylist()]
    assert sorted(rows) == list(range(len(times)))
    names = [(group.date, group.hour, group.part or 0) for group in groups]
    assert names == sorted(set(names))
    by_hour: dict[tuple[str, str], list[int]] = {}
    for group in groups:
        assert 0 < group.table.num_rows <= rows_per_file
        by_hour.setdefault((group.date, group.hour), []).extend(group.table["row"].to_pylist())
        for time in group.table["TimeGenerated"].to_pylist():
            assert (f"{time:%Y-%m-%d}", f"{time:%H}") == (group.date, group.hour)
    assert all(rows == sorted(rows) for rows in by_hour.values())
    split = [group for group in groups if group.part is not None]
    assert all(len(by_hour[each.date, each.hour]) > rows_per_file for each in split)


def test_parts_are_numbered_only_if_an_hour_is_split() -> None:
    times = [START + HOUR, START, START + 1, START + 2]
    groups = layout.split(table(times), rows_per_file=2)
    assert [(each.hour, each.part, each.table["row"].to_pylist()) for each in groups] == [
        ("03", 0, [1, 2]),
        ("03", 1, [3]),
        ("04", None, [0]),
    ]


def test_a_table_of_one_hour_is_not_copied() -> None:
    whole = table([START + 5, START, START + HOUR - 1])
    (group,) = layout.split(whole)
    assert group.table is whole
    assert (group.date, group.hour, group.part) == ("2030-01-02", "03", None)


def test_another_column_can_determine_the_hour() -> None:
    whole = table([START]).append_column("EndTime", pa.array([START + HOUR]).cast(TIME))
    (group,) = layout.split(whole, by="EndTime")
    assert group.hour == "04"


def test_a_row_without_a_time_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 nulls in TimeGenerated"):
        layout.split(pa.table({"TimeGenerated": pa.array([None, START], TIME)}))


def test_folders_have_the_documented_names() -> None:
    assert layout.folder("parquet", "T", "2026-11-20", "09") == "parquet/T/date=2026-11-20/hour=09/"
    assert layout.dead_letter_folder(START + HOUR - 1) == "_dead_letters/date=2030-01-02/hour=03/"


@given(st.integers(-(2**62), 2**62))
def test_every_enqueued_time_has_a_folder(time: int) -> None:
    folder = layout.dead_letter_folder(time)
    if 0 <= time < 2**52:
        assert (
            folder == f"_dead_letters/{datetime.fromtimestamp(time // 1_000_000, UTC):date=%Y-%m-%d/hour=%H/}"
        )


def test_a_file_name_identifies_the_origin_of_its_rows() -> None:
    partition = HubPartition("contoso-ns.servicebus.windows.net", "apim-logs", "3")
    assert (
        layout.file_name(partition, 2, 17, 4711, "c" * 32, None, "parquet")
        == f"contoso-ns-apim-logs-3-i2-{17:020d}-4711-{'c' * 32}.parquet"
    )
    assert layout.file_name(partition, 0, 1, 2, "c", 3, "jsonl.gz").endswith("-c-00003.jsonl.gz")


def test_an_escape_cannot_be_forged() -> None:
    names = [
        layout.file_name(HubPartition("ns", hub, "0"), 0, 1, 2, "c", None, "x")
        for hub in ("A", "~41", "~7e41")
    ]
    assert len(set(names)) == 3


NAME = st.text(st.characters(codec="utf-8") | st.sampled_from("a-~/_.7eE"), max_size=8)


@given(NAME, NAME)
def test_file_names_are_safe_and_distinguish_partitions(one: str, other: str) -> None:
    def name(hub: str) -> str:
        return layout.file_name(HubPartition("ns", hub, "0"), 0, 1, 2, "c", None, "parquet")

    assert set(name(one).removesuffix(".parquet")) <= set("abcdefghijklmnopqrstuvwxyz0123456789-~")
    assert (name(one) == name(other)) == (one == other)
