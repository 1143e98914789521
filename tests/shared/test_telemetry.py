import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, _Gauge
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader

from shared import telemetry
from shared.compaction import compaction_state
from shared.compaction.compactor import Compactor
from shared.compaction.summary import Swapped
from shared.errors import LedgerMissing, OutcomeUnknown
from shared.export.commit_telemetry import COMMIT
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.input.rejections import Reason
from shared.invocation import describe, invocation
from shared.lag import Lag
from shared.metrics import ATTRIBUTES, METRICS
from shared.policies import CompactionPolicy, ExportPolicy
from shared.protocol.ledger import Ledger
from shared.protocol.publishing import repair_ledger
from shared.protocol.stamp import Stamp
from shared.tables.websocket_connection_logs import RECORDS
from shared.telemetry import TimerRun
from shared.timeunits import HOUR, SECOND
from tests import breaking_planner, records
from tests.memory import WEEK, MemoryStorage
from tests.records import PARTITION

DOCS = Path(__file__).resolve().parents[2] / "docs" / "telemetry.md"
AT = f"partition={PARTITION}"
SECRET = "what-only-a-record-says"
ARRIVED = 1_795_000_000 * SECOND
NOW = ARRIVED + 30 * SECOND

type Collected = dict[str, float]
"""Values since the last call, by `name attribute=value …`; for a histogram, its sum."""
type Collect = Callable[[], Collected]

DECLARED = {metric.name: metric for metric in METRICS}
DELTA = dict.fromkeys((Counter, Histogram, _Gauge), AggregationTemporality.DELTA)
READER = InMemoryMetricReader(preferred_temporality=DELTA)  # type: ignore[arg-type]
SERVICE = (
    "/subscriptions/00000000-1111-2222-3333-444444444444/resourcegroups/rg-äpis"
    "/providers/microsoft.apimanagement/service/apim-a"
)


@pytest.fixture(scope="module", autouse=True)
def provider() -> None:
    # A process has one provider permanently; no other test reads it.
    metrics.set_meter_provider(MeterProvider([READER], shutdown_on_exit=False))


@pytest.fixture
def collect() -> Collect:
    def collected() -> Collected:
        data = READER.get_metrics_data()
        found: Collected = {}
        for resource in data.resource_metrics if data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    declared = DECLARED[metric.name]
                    assert (metric.unit, metric.description) == (declared.unit, declared.meaning)
                    for point in metric.data.data_points:
                        attributes: Mapping[str, Any] = point.attributes or {}
                        assert tuple(attributes) == declared.attributes
                        labels = [f"{name}={value}" for name, value in attributes.items()]
                        value = point.sum if hasattr(point, "sum") else point.value
                        found[" ".join([metric.name.removeprefix("websocketlogs."), *labels])] = value
        return found

    collected()
    return collected


class Failing(MemoryStorage):
    """Storage that loses the answers to one kind of call."""

    failing = ""

    def call[T](self, kind: str, name: str, effect: Callable[[], T]) -> T:
        if kind == self.failing:
            raise OutcomeUnknown(f"{kind} {name}")
        return super().call(kind, name, effect)


def exporter(storage: MemoryStorage, now: int = NOW) -> Exporter:
    ids: Iterator[int] = iter(range(time.perf_counter_ns() << 40, 1 << 127))
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


@pytest.mark.parametrize("by_timer", [True, False])
def test_files_left_by_an_earlier_owner_are_counted_as_repaired(by_timer: bool, collect: Collect) -> None:  # noqa: FBT001
    storage = Failing()
    storage.failing = "publish"
    with pytest.raises(OutcomeUnknown):
        exporter(storage).run(PARTITION, MIXED)
    seen = collect()
    assert seen[f"records {AT}"] == 7, "what is committed counts, though it is not published yet"
    assert "commit.time phase=publish" not in seen
    storage.failing = ""
    if by_timer:
        repair_ledger(storage, Ledger.name(PARTITION), Stamp("f" * 32, NOW))
    else:
        exporter(storage).run(PARTITION, MIXED)
    assert collect()[f"repairs {AT}"] == seen[f"files {AT}"]
    exporter(storage).run(PARTITION, MIXED)
    assert not collect().get(f"repairs {AT}")


def test_files_whose_blocks_expired_are_lost(collect: Collect) -> None:
    clock = NOW
    storage = Failing(lambda: clock)
    storage.failing = "publish"
    with pytest.raises(OutcomeUnknown):
        exporter(storage).run(PARTITION, MIXED)
    storage.failing = ""
    files = collect()[f"files {AT}"]
    clock += WEEK
    exporter(storage, clock).run(PARTITION, MIXED)
    assert collect()[f"lost {AT}"] == files


def test_envelopes_of_a_deleted_hub_are_quarantined(collect: Collect) -> None:
    one = exporter(MemoryStorage(), NOW + HOUR)
    one.run(PARTITION, [Envelope(5, ARRIVED, MIXED[0].body)])
    one.run(PARTITION, [Envelope(0, ARRIVED + HOUR, MIXED[0].body)])
    collect()
    one.run(PARTITION, [Envelope(6, ARRIVED + SECOND, MIXED[0].body)])
    seen = collect()
    assert seen[f"quarantined {AT}"] == seen[f"rejected {AT} reason={Reason.OLDER_INCARNATION}"] == 1
    assert seen[f"unbalanced {AT}"] == 0


def test_a_missing_ledger_is_an_alarm(collect: Collect) -> None:
    storage = MemoryStorage()
    one = exporter(storage)
    one.run(PARTITION, MIXED)
    one._cache.clear()
    storage.delete([Ledger.name(PARTITION)])
    collect()
    with pytest.raises(LedgerMissing):
        one.run(PARTITION, MIXED)
    assert collect() == {"alarms function=export_logs": 1}


def test_a_message_that_is_set_aside_is_an_alarm(collect: Collect) -> None:
    one = Exporter(
        MemoryStorage(),
        ExportPolicy(),
        1 << 30,
        lambda: NOW,
        lambda: "ab" * 16,
        planner="tests.breaking_planner:make",
    )
    one.run_isolated(PARTITION, [Envelope(0, ARRIVED, breaking_planner.RAISES)])
    reported = collect()
    assert reported["alarms function=export_logs"] == 1
    assert reported[f"rejected partition={PARTITION} reason=internal_error"] == 1


def test_a_run_of_the_timer_reports_the_current_state(collect: Collect) -> None:
    telemetry.timer_ran(
        TimerRun(
            open=7,
            merged_age=90.5,
            finished={"closed": 3, "quiet": 1},
            durations=[("closed", 2.5), ("closed", 4), ("quiet", 7)],
            revised=2,
            capped=1,
            unknown_names=4,
            stalled=1,
            alarms=2,
            lag={str(PARTITION): Lag(envelopes=12, seconds=40, records=96), "other": Lag(0, 0)},
            retention=86_400,
            silence={SERVICE: 60, "/../../x": 5, "": 3},
        )
    )
    assert collect() == {
        f"service.silence service={SERVICE}": 60,
        "connections.open": 7,
        "connections.finished status=closed": 3,
        "connections.finished status=quiet": 1,
        "connections.duration status=closed": 6.5,
        "connections.duration status=quiet": 7,
        "connections.revised": 2,
        "connections.capped": 1,
        "names.unknown": 4,
        "merged.age": 90.5,
        "stalled": 1,
        "alarms function=finish_connections": 2,
        f"lag.envelopes {AT}": 12,
        f"lag.records {AT}": 96,
        f"lag.time {AT}": 40,
        f"retention.headroom {AT}": 86_360,
        "lag.envelopes partition=other": 0,
        "lag.time partition=other": 0,
        "retention.headroom partition=other": 86_400,
    }


def test_an_unknown_retention_and_a_silent_hub_are_not_reported(collect: Collect) -> None:
    telemetry.timer_ran(TimerRun(open=0, merged_age=None, lag={str(PARTITION): Lag(1, 1)}))
    telemetry.timer_ran(TimerRun(open=0, merged_age=None))
    assert not [name for name in collect() if name.startswith(("retention", "merged"))]


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


def test_names_are_dotted_lower_case_and_unique() -> None:
    found = [metric.name for metric in METRICS]
    assert len(set(found)) == len(found)
    for metric in METRICS:
        assert re.fullmatch(r"websocketlogs(\.[a-z]+)+", metric.name)
        assert set(metric.attributes) <= ATTRIBUTES.keys()
        assert metric.meaning.endswith(".")


def test_the_documentation_lists_every_declared_metric() -> None:
    rows = "".join(
        f"| `{one.name}` | {one.kind} | {one.unit} | {', '.join(one.attributes)} | {one.meaning} |\n"
        for one in METRICS
    )
    assert rows in DOCS.read_text(), f"docs/telemetry.md must say:\n{rows}"
    for name, meaning in ATTRIBUTES.items():
        assert f"- `{name}`: {meaning}\n" in DOCS.read_text()


def test_a_swap_reports_the_merged_files(collect: Collect) -> None:
    Swapped("Logs", files=5, bytes_in=100, bytes_out=40, rows=7, seconds=1.5, swap_seconds=0.25).report()
    at = "table=Logs"
    assert collect() == {
        f"compaction.files.in {at}": 5,
        f"compaction.files.out {at}": 1,
        f"compaction.bytes.in {at}": 100,
        f"compaction.bytes.out {at}": 40,
        f"compaction.rows {at}": 7,
        f"compaction.time {at}": 1.5,
        f"compaction.swap.time {at}": 0.25,
    }


def test_compaction_reports_alarms_and_an_unfinished_swap(collect: Collect) -> None:
    storage = MemoryStorage()
    storage.put(compaction_state.NAME, b"{")
    Compactor(storage, CompactionPolicy(), lambda: NOW, lambda: "a").run(1)
    assert collect() == {"compaction.pending.age": 0, "alarms function=compact_logs": 1}


def test_a_failing_invocation_is_counted_logged_and_raised_again(
    caplog: pytest.LogCaptureFixture, collect: Collect
) -> None:
    error = OutcomeUnknown("put\nledgers/a.json")
    error.__cause__ = TimeoutError("no answer")
    with pytest.raises(OutcomeUnknown), invocation("export_logs"):
        raise error
    assert collect() == {"failures function=export_logs": 1}
    said = "OutcomeUnknown: put ledgers/a.json, caused by TimeoutError: no answer"
    assert f"export_logs failed: {said}" in caplog.text
    assert caplog.records[0].exc_info
    with invocation("export_logs"):
        pass
    assert collect() == {"runs function=export_logs": 1}


def test_exceptions_that_the_worker_does_not_catch_are_converted() -> None:
    with pytest.raises(RuntimeError, match="SystemExit: 3"), invocation("compact_logs"):
        raise SystemExit(3)


def test_a_cause_is_named_once_and_not_if_suppressed() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert describe(first) == "ValueError: a, caused by ValueError: b"
    hiding = ValueError("shown")
    hiding.__context__, hiding.__suppress_context__ = KeyError("hidden"), True
    assert describe(hiding) == "ValueError: shown"
    hiding.__suppress_context__ = False
    assert describe(hiding) == "ValueError: shown, caused by KeyError: 'hidden'"
