import logging
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from shared.export.commit_telemetry import COMMIT
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.input.rejections import Reason
from shared.policies import ExportPolicy
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import HOUR, SECOND
from tests import records
from tests.memory import MemoryStorage
from tests.metric_reader import Collect
from tests.records import PARTITION

DOCS = Path(__file__).resolve().parents[3] / "docs" / "telemetry.md"
AT = f"partition={PARTITION}"
SECRET = "what-only-a-record-says"
ARRIVED = 1_795_000_000 * SECOND
NOW = ARRIVED + 30 * SECOND


def exporter(storage: MemoryStorage, now: int = NOW) -> Exporter:
    ids = iter(range(time.perf_counter_ns() << 40, 1 << 127))
    return Exporter(storage, ExportPolicy(), 1 << 30, lambda: now, lambda: f"{next(ids):032x}")


def record(age: float = 60, **more: Any) -> dict[str, Any]:
    properties = {"eventName": SECRET, "error": SECRET}
    return records.record(ARRIVED - round(age * SECOND), SECRET, **{"properties": properties} | more)


def envelope(sequence: int, *of: object) -> Envelope:
    return records.envelope(sequence, ARRIVED, *of)


MIXED = [
    envelope(0, record(10), record(60), record(1000)),
    Envelope(1, ARRIVED + SECOND, b"not JSON"),
    envelope(2, record(category="GatewayLogs"), record(correlationId=None), SECRET),
]


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    found = [one.getMessage() for one in caplog.records if one.name == "shared.export"]
    return [orjson.loads(line.removeprefix("commit ")) for line in found if line.startswith("commit ")]


def test_a_commit_reports_the_outcome_of_each_record(collect: Collect) -> None:
    storage = MemoryStorage()
    (commit,) = exporter(storage).run(PARTITION, MIXED)
    seen = collect()
    times = {name: seen.pop(name) for name in list(seen) if name.startswith("commit.time")}
    assert seen == {
        f"commits {AT}": 1,
        f"envelopes {AT}": 3,
        f"records {AT}": 7,
        f"rows {AT} table={RECORDS.name}": 3,
        f"rejected {AT} reason=unreadable_envelope": 1,
        f"rejected {AT} reason=missing_required_field": 1,
        f"rejected {AT} reason=record_not_an_object": 1,
        f"skipped {AT}": 1,
        f"unbalanced {AT}": 0,
        f"quarantined {AT}": 0,
        f"late {AT}": 1,
        f"duplicates {AT}": 0,
        f"gaps {AT}": 0,
        f"gaps.new {AT}": 0,
        f"bytes.in {AT}": sum(len(one.body) for one in MIXED),
        f"bytes.out {AT}": sum(len(blob.data or b"") for blob in storage.output.values()),
        f"files {AT}": len(commit.files),
        f"delay.arrival {AT}": 30,
        f"delay.event {AT}": 90,
    }
    assert set(times) == {
        f"commit.time phase={phase}" for phase in ("load", "plan", "stage", "write", "publish")
    }
    assert all(0 < seconds < 60 for seconds in times.values())


def test_rows_are_counted_by_table(collect: Collect) -> None:
    categories = ("WebSocketConnectionLogs", "GatewayLogs", "GatewayLlmLogs")
    found = [record(), record(category="GatewayLogs"), record(category="Other")]
    ids = (f"{number:032x}" for number in range(9))
    policy = ExportPolicy(categories=categories)
    Exporter(MemoryStorage(), policy, 1 << 24, lambda: NOW, lambda: next(ids)).run(
        PARTITION, [envelope(0, *found)]
    )
    seen = collect()
    rows = {name: number for name, number in seen.items() if name.startswith("rows ")}
    assert {name.rpartition("table=")[2]: number for name, number in rows.items()} == {
        "ApiManagementWebSocketConnectionLogs": 1,
        "ApiManagementGatewayLogs": 1,
    }
    assert [number for name, number in seen.items() if name.startswith("skipped ")] == [1]


def test_redelivered_envelopes_count_only_as_duplicates(collect: Collect) -> None:
    one = exporter(MemoryStorage())
    one.run(PARTITION, MIXED[:2])
    collect()
    one.run(PARTITION, MIXED)
    seen = collect()
    assert seen[f"duplicates {AT}"] == 2
    assert seen[f"envelopes {AT}"] == 1
    one.run(PARTITION, MIXED)
    assert collect() == {f"duplicates {AT}": 3}


def test_a_gap_has_its_length_and_disappears_once_filled(collect: Collect) -> None:
    one = exporter(MemoryStorage())
    one.run(PARTITION, [envelope(10, record())])
    seen = collect()
    assert (seen[f"gaps {AT}"], seen[f"gaps.new {AT}"]) == (10, 0), "deleted before anybody read them"
    one.run(PARTITION, [envelope(11, record()), envelope(16, record())])
    seen = collect()
    assert (seen[f"gaps {AT}"], seen[f"gaps.new {AT}"]) == (14, 4)
    one.run(PARTITION, [envelope(n, record()) for n in range(12, 16)])
    seen = collect()
    assert (seen[f"gaps {AT}"], seen[f"gaps.new {AT}"]) == (10, 0)


def test_the_first_commit_of_a_recreated_hub_reports_gaps(collect: Collect) -> None:
    one = exporter(MemoryStorage(), NOW + HOUR)
    one.run(PARTITION, [Envelope(40_000, ARRIVED, MIXED[0].body)])
    collect()
    one.run(PARTITION, [Envelope(100, ARRIVED + HOUR, MIXED[0].body)])
    assert collect()[f"gaps.new {AT}"] == 100
    one.run(PARTITION, [Envelope(101, ARRIVED + HOUR, MIXED[0].body)])
    assert collect()[f"gaps.new {AT}"] == 0


def test_another_writer_is_a_conflict_and_no_record_counts_twice(collect: Collect) -> None:
    storage = MemoryStorage()
    first, second = exporter(storage), exporter(storage)
    first.run(PARTITION, MIXED[:1])
    second.run(PARTITION, MIXED[:2])
    first.run(PARTITION, MIXED)
    seen = collect()
    assert seen[f"conflicts {AT}"] == 1
    assert seen[f"records {AT}"] == 7
    assert seen[f"envelopes {AT}"] == 3
    assert seen[f"duplicates {AT}"] == 1 + 2, "each of the two dropped what it was given and found committed"


def test_envelopes_of_a_deleted_hub_are_quarantined(collect: Collect) -> None:
    one = exporter(MemoryStorage(), NOW + HOUR)
    one.run(PARTITION, [Envelope(5, ARRIVED, MIXED[0].body)])
    one.run(PARTITION, [Envelope(0, ARRIVED + HOUR, MIXED[0].body)])
    collect()
    one.run(PARTITION, [Envelope(6, ARRIVED + SECOND, MIXED[0].body)])
    seen = collect()
    assert seen[f"quarantined {AT}"] == seen[f"rejected {AT} reason={Reason.OLDER_INCARNATION}"] == 1
    assert seen[f"unbalanced {AT}"] == 0


def test_each_commit_logs_one_machine_readable_line(
    caplog: pytest.LogCaptureFixture, collect: Collect
) -> None:
    caplog.set_level(logging.INFO)
    one = exporter(MemoryStorage())
    commits = one.run(PARTITION, MIXED[:1]) + one.run(PARTITION, MIXED) + one.run(PARTITION, MIXED)
    first, second = lines(caplog)
    assert [first["commit_id"], second["commit_id"]] == [commit.ledger.commit_id for commit in commits]
    seen = collect()
    for field in ("envelopes", "records", "rows", "skipped", "files", "late"):
        total = sum(number for name, number in seen.items() if name.startswith(f"{field} {AT}"))
        assert first[field] + second[field] == total, field
    assert first["partition"] == str(PARTITION)
    assert second["rejected"] == commits[1].counts.rejected
    assert set(second["seconds"]) == {"load", "plan", "stage", "write", "publish"}
    assert f"\n{COMMIT} {{" in DOCS.read_text()
    assert all(f"`{field}`" in DOCS.read_text() for field in first)


def test_no_content_of_records_is_reported(caplog: pytest.LogCaptureFixture, collect: Collect) -> None:
    caplog.set_level(logging.INFO)
    exporter(MemoryStorage()).run(PARTITION, MIXED)
    assert caplog.records
    assert SECRET not in str(collect()) + caplog.text
