from collections.abc import Callable

import pytest

from shared import telemetry
from shared.compaction import compaction_state
from shared.compaction.compactor import Compactor
from shared.errors import LedgerMissing, OutcomeUnknown
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.lag import Lag
from shared.policies import CompactionPolicy, ExportPolicy
from shared.protocol.ledger import Ledger
from shared.protocol.publishing import repair_ledger
from shared.protocol.stamp import Stamp
from shared.telemetry import TimerRun
from tests import breaking_planner
from tests.memory import WEEK, MemoryStorage
from tests.metric_reader import Collect
from tests.records import PARTITION
from tests.shared.export.test_commit_telemetry import ARRIVED, AT, MIXED, NOW, exporter

SERVICE = (
    "/subscriptions/00000000-1111-2222-3333-444444444444/resourcegroups/rg-äpis"
    "/providers/microsoft.apimanagement/service/apim-a"
)


class Failing(MemoryStorage):
    """Storage that loses the answers to one kind of call."""

    failing = ""

    def call[T](self, kind: str, name: str, effect: Callable[[], T]) -> T:
        if kind == self.failing:
            raise OutcomeUnknown(f"{kind} {name}")
        return super().call(kind, name, effect)


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


def test_compaction_reports_alarms_and_an_unfinished_swap(collect: Collect) -> None:
    storage = MemoryStorage()
    storage.put(compaction_state.NAME, b"{")
    Compactor(storage, CompactionPolicy(), lambda: NOW, lambda: "a").run(1)
    assert collect() == {"compaction.pending.age": 0, "alarms function=compact_logs": 1}


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
