"""The sums of a report agree with a few lines of Python over the same rows."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from shared.input.rejections import Reason
from shared.report import database
from shared.report.database import LABELS, Aggregates, Database
from shared.report.locations import FOLDERS, Range
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import HOUR, SECOND
from tests.shared.report import made

BEGIN = 1_795_053_600
"""In seconds after 1970, at a full hour."""
RANGE = Range(BEGIN * SECOND, (BEGIN + 6 * 3600) * SECOND)


def aggregates(folder: Path, range_: Range = RANGE, committed: int | None = None) -> Aggregates:
    """Returns the sums of all files in a folder; the database is beside it."""
    beside = folder / "beside"
    beside.mkdir(exist_ok=True)
    with Database(beside, range_) as one:
        one.connections(sorted((folder / FOLDERS["connections"]).rglob("*.parquet")))
        one.records(dict.fromkeys(sorted((folder / FOLDERS["records"]).rglob("*.parquet")), committed))
        if letters := sorted((folder / FOLDERS["letters"]).rglob("*.gz")):
            one.letters(letters)
        return one.aggregates(lambda _done, _total: None)


def total(rows: list[tuple[Any, ...]]) -> int:
    return sum(row[-1] for row in rows)


def test_the_newest_revision_counts(tmp_path: Path) -> None:
    first = made.connection("a", BEGIN, 10)
    other = made.connection("a", BEGIN + 3600, 20, CommitId="b")
    later = first | {"Revision": 1, "Status": "failed", "DurationMs": 15_000.0}
    made.write(tmp_path, CONNECTIONS, [first, other], "EndTime", "one")
    made.write(tmp_path, CONNECTIONS, [later], "EndTime", "two")
    found = aggregates(tmp_path)
    assert Counter(status for *_, status in found["groups"]) == {"closed": 1, "failed": 1}
    assert sorted((row[1], row[5]) for row in found["longest"]) == [("a", 15_000), ("a", 20_000)]


def test_counts_of_connections_match_a_manual_count(tmp_path: Path) -> None:
    random.seed(3)
    spans = [(random.uniform(-3600, 7 * 3600), random.expovariate(1 / 1800)) for _ in range(400)]
    rows = [made.connection(f"c{n}", BEGIN + start, length) for n, (start, length) in enumerate(spans)]
    made.write(tmp_path, CONNECTIONS, rows, "EndTime")
    found = aggregates(tmp_path)
    ends = [start + length for start, length in spans]
    assert total(found["ended"]) == sum(0 <= end < 6 * 3600 for end in ends)
    assert total(found["started"]) == sum(0 <= start < 6 * 3600 for start, _ in spans)
    grid = database.points(RANGE)
    carried, means, peaks = 0, [], []
    inside = {point: (n, part) for _, point, n, part in found["open"]}
    highest: dict[int, int] = dict(found["peaks"])
    for point in range(grid.count):
        n, part = inside.get(point, (0, 0))
        means.append(carried + part)
        peaks.append(max(carried, highest.get(point, 0)))
        carried += n
    step = grid.step / SECOND
    for point in range(grid.count):
        at, to = point * step, (point + 1) * step
        covered = sum(
            max(0, min(end, to) - max(start, at)) for (start, _), end in zip(spans, ends, strict=True)
        )
        assert means[point] == pytest.approx(covered / step, abs=0.01)
        moments = [at, *(start for start, _ in spans if at <= start < to)]
        most = max(
            sum(start <= moment < end for (start, _), end in zip(spans, ends, strict=True))
            for moment in moments
        )
        assert peaks[point] == most


def test_a_connection_without_a_row_is_open_until_closed(tmp_path: Path) -> None:
    made.write(tmp_path, CONNECTIONS, [made.connection("a", BEGIN + 10, 5, ClosingEvent="Bye")], "EndTime")
    records = [
        made.record("a", BEGIN + 10, 1),
        made.record("open", BEGIN + 60, 1, Destination="wss://x"),
        made.record("open", BEGIN + 90, 1, EventName="MessageSent"),
        made.record("closed", BEGIN + 60, 1, Destination="wss://x"),
        made.record("closed", BEGIN + 7200, 1, EventName="Bye"),
    ]
    made.write(tmp_path, RECORDS, records, "TimeGenerated")
    found = aggregates(tmp_path)
    (group,) = [g for g, *_, status in found["groups"] if status == "unfinished"]
    assert found["groups"][group][1:] == ("wss://x", "(none)", "unfinished")
    assert sum(n for g, _, n, _ in found["open"] if g == group) == 1
    assert sum(n for g, _, n in found["started"] if g == group) == 2
    assert [g for g, *_ in found["ended"] if g == group] == []


def test_rare_destinations_and_regions_are_combined(tmp_path: Path) -> None:
    rows = [
        made.connection(f"{n}-{k}", BEGIN + n, 1, Destination=f"d{n:02}", Region=f"r{n:02}")
        for n in range(40)
        for k in range(40 - n)
    ]
    made.write(tmp_path, CONNECTIONS, rows, "EndTime")
    found = aggregates(tmp_path)
    labels = {destination for _, destination, _, _ in found["groups"]}
    assert labels == {"(other)", *(f"d{n:02}" for n in range(LABELS))}
    assert total(found["ended"]) == len(rows)


def test_rejections_and_delays_are_all_counted(tmp_path: Path) -> None:
    records = [
        made.record(
            f"c{n}",
            BEGIN + n,
            60 + n,
        )
        for n in range(100)
    ]
    made.write(tmp_path, RECORDS, records, "TimeGenerated")
    made.letters(
        tmp_path,
        [
            (BEGIN + 5, Reason.WRONG_TYPE, 7, "expected a text"),
            (BEGIN + 4000, Reason.WRONG_TYPE, 2, "expected a text"),
            (BEGIN + 4000, Reason.UNREADABLE_ENVELOPE, 1, "no JSON"),
            (BEGIN - 5, Reason.UNREADABLE_ENVELOPE, 9, "before the range"),
        ],
    )
    found = aggregates(tmp_path, committed=(BEGIN + 1000) * SECOND)
    assert found["reasons"] == [
        ("wrong_type", 9, "expected a text"),
        ("unreadable_envelope", 1, "no JSON"),
    ]
    assert total(found["rejections"]) == 10
    assert Counter(
        {leg: total([row for row in found["delays"] if row[0] == leg]) for leg in ("hub", "exporter")}
    ) == {
        "hub": 100,
        "exporter": 100,
    }
    assert dict(found["longest_delays"]) == {"hub": 159_000, "exporter": 940_000}
    assert found["records"] == [(100,)]


@pytest.mark.parametrize("hours", [1 / 60, 1, 5, 12, 13, 24, 100, 240, 241, 24 * 90, 24 * 400, 24 * 365 * 60])
def test_intervals_cover_any_range_and_are_never_too_many(hours: float) -> None:
    range_ = Range(BEGIN * SECOND + 7, BEGIN * SECOND + 7 + round(hours * HOUR))
    for grid in (database.bars(range_), database.points(range_)):
        assert grid.first * grid.step <= range_.since
        assert (grid.first + grid.count) * grid.step >= range_.until
        assert grid.count <= 302
    if 12 < hours <= 240:
        assert database.bars(range_).step == HOUR


def test_a_duration_is_counted_in_its_bin() -> None:
    with duckdb.connect() as connection:
        connection.execute(database._statements("load.sql")["prepare"])
        for exponent in (-0.5, 0, 0.01, 1, 4.37, 10.9, 12):
            (bin_,) = connection.execute("SELECT bin(?)", [10**exponent]).fetchall()[0]
            assert bin_ == (-1 if exponent < 0 else min(int(exponent * 40 + 1e-9), 439))


def test_files_may_have_more_or_fewer_columns(tmp_path: Path) -> None:
    made.write(tmp_path, CONNECTIONS, [made.connection("a", BEGIN, 1)], "EndTime")
    (file,) = (tmp_path / FOLDERS["connections"]).rglob("*.parquet")
    table = pq.read_table(file)
    for name in ("CorrelationId", "CommitId"):
        table = table.set_column(table.schema.get_field_index(name), name, [["newer"]])
    pq.write_table(table.append_column("Later", [["x"]]), file.with_name("newer.parquet"))
    for name in ("CorrelationId", "CommitId"):
        table = table.set_column(table.schema.get_field_index(name), name, [["older"]])
    pq.write_table(table.drop_columns(["ClosingEvent", "Error"]), file.with_name("older.parquet"))
    found = aggregates(tmp_path)
    assert {row[1] for row in found["longest"]} == {"a", "newer", "older"}


def test_the_same_rows_give_the_same_sums(tmp_path: Path) -> None:
    rows = [made.connection(f"c{n}", BEGIN + n, n % 7 + 1, Destination=f"d{n % 30}") for n in range(2000)]
    made.write(tmp_path, CONNECTIONS, rows, "EndTime")
    first = aggregates(tmp_path)
    for path in tmp_path.glob("beside/*"):
        path.unlink()
    second = aggregates(tmp_path)
    assert {key: value for key, value in first.items() if key != "longest"} == {
        key: value for key, value in second.items() if key != "longest"
    }


def test_connections_are_not_grouped_by_legs(tmp_path: Path) -> None:
    legs = {"Source": "Gateway", "Destination": "Backend"}, {"Source": "Client", "Destination": "Gateway"}
    rows = [
        made.connection(f"c{n}", BEGIN + n, 5, _ResourceId=f"{made.RESOURCE}{n % 3}", **legs[n % 2])
        for n in range(30)
    ]
    made.write(tmp_path, CONNECTIONS, rows, "EndTime")
    found = aggregates(tmp_path)
    assert found["dimensions"] == [("Instance",), ("Region",)]
    assert {row[1] for row in found["groups"]} == {"0", "1", "2"}


def test_a_column_with_several_values_distinguishes_no_connections(tmp_path: Path) -> None:
    rows = [
        made.connection(f"c{n}", BEGIN + n, 5, Destination=f"d{n}", Source=f"s{n % 5}") for n in range(30)
    ]
    made.write(tmp_path, CONNECTIONS, rows, "EndTime")
    assert aggregates(tmp_path)["dimensions"] == [("Destination",), ("Source",)]
    records = [
        made.record(f"c{n}", BEGIN + n, 60, Destination=f"d{n + k}") for n in range(30) for k in range(2)
    ]
    made.write(tmp_path, RECORDS, records, "TimeGenerated")
    (tmp_path / "beside" / "report.duckdb").unlink()
    assert aggregates(tmp_path)["dimensions"] == [("Source",), ("Region",)]


@pytest.mark.parametrize(("unknown", "estimated"), [(4, True), (3, False)])
def test_estimates_are_shown_if_most_durations_are_unknown(
    tmp_path: Path, unknown: int, *, estimated: bool
) -> None:
    rows = [
        made.connection(f"c{n}", BEGIN + n, None if n < unknown else 5, ArrivalDurationMs=600_000.0)
        for n in range(7)
    ]
    made.write(tmp_path, CONNECTIONS, rows, "EndTime")
    found = aggregates(tmp_path)
    assert found["estimated"] == [(estimated,)]
    assert {row[5] for row in found["longest"]} == ({600_000} if estimated else {5_000})
