"""The number of connections with a request agrees with the view, and needs few reads."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from shared.audit import contents
from shared.convert.folder_storage import FolderStorage
from shared.errors import DamagedFile, OutcomeUnknown
from shared.matching import sample
from shared.matching.sample import Sample, samples
from shared.output import parquet
from shared.protocol.storage import BlobInfo
from shared.tables import join_views, views
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.gateway_logs import GATEWAY_LOGS
from shared.timeunits import HOUR, SECOND
from tests.shared.report import made
from tests.shared.tables.test_join_views import CONNECTED, REQUESTS, VIEW, at, request

UNTIL = int(at("20 09:30")) * SECOND


def output(root: Path, connections: list[dict[str, Any]], requests: list[dict[str, Any]]) -> FolderStorage:
    made.write(root, CONNECTIONS, connections, CONNECTIONS.time_column)
    made.write(root, GATEWAY_LOGS, requests, GATEWAY_LOGS.time_column)
    return FolderStorage(root, root)


class Counted:
    """Counts the bytes that are read, and fails on request."""

    def __init__(self, files: FolderStorage, failing: int = 0) -> None:
        self.files = files
        self.failing = failing
        self.bytes = 0

    def outputs(self, prefix: str) -> Iterator[BlobInfo]:
        return self.files.outputs(prefix)

    def part(self, name: str, offset: int, length: int) -> bytes:
        if self.failing:
            self.failing -= 1
            raise OutcomeUnknown("no answer")
        data = self.files.part(name, offset, length)
        self.bytes += len(data)
        return data


def test_the_sample_agrees_with_the_view(tmp_path: Path) -> None:
    (found,) = samples(output(tmp_path, CONNECTED, REQUESTS), UNTIL)
    assert found == Sample(VIEW, GATEWAY_LOGS.name, int(at("20 07:00")) * SECOND, 7, 4)
    assert GATEWAY_LOGS.join
    with duckdb.connect() as database:
        for table in (CONNECTIONS, GATEWAY_LOGS):
            database.execute(views.duckdb(table, str(tmp_path)))
        database.execute(join_views.duckdb(GATEWAY_LOGS, GATEWAY_LOGS.join))
        began = "hour = 7 AND date = '2026-11-20' AND epoch_us(StartTime) >= " + str(
            found.hour - sample.REACH
        )
        query = f"SELECT count(*), count(RequestTime) FROM {VIEW} WHERE {began}"
        assert database.execute(query).fetchall() == [(found.rows, found.matched)]


def test_tables_that_are_not_both_exported_have_no_sample(tmp_path: Path) -> None:
    made.write(tmp_path, CONNECTIONS, CONNECTED, CONNECTIONS.time_column)
    assert samples(FolderStorage(tmp_path, tmp_path), UNTIL) == []
    other = tmp_path / "other"
    other.mkdir()
    made.write(other, GATEWAY_LOGS, REQUESTS, GATEWAY_LOGS.time_column)
    assert samples(FolderStorage(other, other), UNTIL) == []


def test_connections_older_than_the_requests_are_left_out(tmp_path: Path) -> None:
    connections = [made.connection("a", at("20 05:10"), 7200), made.connection("b", at("20 07:00"), 60)]
    (found,) = samples(output(tmp_path, connections, [request("b", "20 07:00")]), UNTIL)
    assert (found.rows, found.matched) == (1, 1)


def test_a_request_may_lie_in_any_row_of_a_connection(tmp_path: Path) -> None:
    rows = [made.connection("a", at("20 07:00"), 3000), made.connection("a", at("20 07:10"), 60)]
    (found,) = samples(output(tmp_path, rows, [request("a", "20 07:45")]), UNTIL)
    assert (found.rows, found.matched) == (1, 1)


def test_the_newest_settled_hour_is_preferred(tmp_path: Path) -> None:
    connections = [made.connection(f"c{hour}", at(f"20 {hour:02}:10"), 60) for hour in (6, 7, 8)]
    files = output(tmp_path, connections, [request(f"c{hour}", f"20 {hour:02}:10") for hour in (6, 7, 8)])
    for until, hour in ((UNTIL, 7), (UNTIL + HOUR, 8), (UNTIL - 2 * HOUR, 7)):
        (found,) = samples(files, until)
        assert found.hour // HOUR % 24 == hour


def test_an_hour_with_too_many_files_waits_for_compaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections = [made.connection(f"c{hour}", at(f"20 {hour:02}:10"), 60) for hour in (6, 7)]
    files = output(tmp_path, connections, [request("c6", "20 06:10")])
    for part in range(3):
        made.write(tmp_path, GATEWAY_LOGS, [request(f"c7-{part}", "20 07:10")], GATEWAY_LOGS.time_column)
    monkeypatch.setattr(sample, "FILES", 2)
    (found,) = samples(files, UNTIL)
    assert (found.hour // HOUR % 24, found.rows, found.matched) == (6, 1, 1)


def test_only_row_groups_with_the_lowest_ids_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"{number:05}" for number in range(20_000)]
    connections = [made.connection(id_, at("20 07:10"), 60) for id_ in ids[::2]]
    files = Counted(output(tmp_path, connections, [request("x", "20 07:10")]))
    (small,) = (tmp_path / "parquet" / GATEWAY_LOGS.name).glob("*/*/*")
    schema = GATEWAY_LOGS.arrow
    blank = dict.fromkeys(schema.names) | {"_SequenceNumber": 0, "_RecordIndex": 0}
    blank |= {"_EventHubPartition": "x", "_EnqueuedTime": 0}
    rows = [blank | request(id_, "20 07:10") for id_ in ids]
    with parquet.writer(str(small), schema, GATEWAY_LOGS.sort_key, 1000, {}, "snappy") as writer:
        for first in range(0, len(rows), 1000):
            writer.write_table(pa.Table.from_pylist(rows[first : first + 1000], schema=schema))
    monkeypatch.setattr(contents, "PIECE", 1 << 10)
    (found,) = samples(files, UNTIL)
    assert (found.rows, found.matched) == (sample.ROWS, sample.ROWS)
    connections_size = sum(
        one.stat().st_size for one in (tmp_path / "parquet" / CONNECTIONS.name).rglob("*.parquet")
    )
    assert files.bytes - connections_size < small.stat().st_size / 2


def test_a_listing_outdated_by_compaction_is_repeated(tmp_path: Path) -> None:
    files = output(tmp_path, CONNECTED, REQUESTS)
    (found,) = samples(Counted(files, failing=sample.TRIES - 1), UNTIL)
    assert found.matched == 4
    with pytest.raises(OutcomeUnknown):
        samples(Counted(files, failing=99), UNTIL)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    files = output(tmp_path, CONNECTED, REQUESTS)
    (file,) = (tmp_path / "parquet" / GATEWAY_LOGS.name).glob("date=2026-11-20/hour=07/*")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DamagedFile, match=file.name):
        samples(files, UNTIL)
