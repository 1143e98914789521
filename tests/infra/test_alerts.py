"""Runs the query of each alert on synthetic tables: what fires it, when, and what does not."""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache

import pytest

from tests.effort import effort
from tests.infra.exporter_model import MINUTE, START, Model
from tests.infra.snapshots import ROOT, log_rules
from tests.infra.workspace import STEP, Alert, Line, Metric, Workspace

RULES = log_rules("default")
TUNED = log_rules("everything")
"""With silentHours of 24, and retention of 24 hours."""
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
BEGINS = 150
"""Minutes of ordinary operation before an incident begins."""
INCIDENT = START + BEGINS * MINUTE
AFTER = BEGINS * 60
"""The second in which the incident begins."""


def ordinary(_: int, second: int) -> int:
    """One event every 20 s."""
    return int(second % 20 == 0)


def hourly(partition: int, second: int) -> int:
    """One event an hour, shortly before the timer, which finds it waiting an hour after the previous one."""
    return int(second % 3600 == 640 + 60 * partition)


def bursts(partition: int, second: int) -> int:
    """No events for hours, then 20,000 in a minute, then one a minute for an hour."""
    since = second % (5 * 3600) - 600 * partition
    return 3333 if 0 <= since < 60 else int(0 <= since < 3600 and since % 60 == 0)


def busy(partition: int, second: int) -> int:
    """300 events in ten seconds by day, 20 by night."""
    return 300 - partition if 8 * 3600 <= second % 86400 < 20 * 3600 else 20


def until(second: int) -> Callable[[int], bool]:
    return lambda now: now < second


def each(name: str, value: float, minutes: Iterable[int], **properties: str) -> list[Metric]:
    """Returns a metric in each of these minutes of the incident."""
    return [Metric(INCIDENT + minute * MINUTE, name, value, properties) for minute in minutes]


type Reports = Callable[[], list[Metric]]
"""Computed by the test that needs them, because every process imports all cases."""


def counted(*metrics: Metric, minutes: int = 120, model: Model | None = None) -> Reports:
    return lambda: [*(model or Model(ordinary)).reports(BEGINS + minutes), *metrics]


def aged(minutes: Sequence[int]) -> list[Metric]:
    return [
        Metric(INCIDENT + minute * MINUTE, "compaction.pending.age", 60 * minute, {}) for minute in minutes
    ]


def silence(service: str, sending: Callable[[int], bool]) -> list[Metric]:
    """Returns the timer's metrics of a service that sends a record a minute while `sending`."""
    found, newest = [], 0
    for minute in range(BEGINS + 28 * 60):
        newest = 60 * minute if sending(60 * minute) else newest
        reported = START + timedelta(seconds=60 * minute + 65)
        found.append(Metric(reported, "service.silence", 60 * minute - newest, {"service": service}))
    return found


STOPPED = Model(ordinary, exporting=until(AFTER))
HOST = "A function timeout has occurred. Restarting worker process executing invocationId 'a'"

# The rows of metrics and log lines that fire each alert.
FIRES: dict[str, tuple[Reports, list[Line]]] = {
    # The hub keeps events for 24 hours, and the exporter has stopped.
    "retention": (counted(model=Model(ordinary, exporting=until(AFTER), retention=86400), minutes=1440), []),
    "no-commit": (counted(model=STOPPED), []),
    "timer-silent": (counted(model=Model(ordinary, timer=until(AFTER))), []),
    "functions-missing": (list, [Line(INCIDENT + MINUTE, "Worker failed to index functions")]),
    "alarms": (counted(*each("alarms", 1, [1], function="export_logs")), []),
    "integrity": (counted(*each("lost", 2, [1], partition="ns/hub/0")), []),
    "swap-pending": (counted(*aged(range(10, 120, 10)), model=Model(ordinary, compacting=until(AFTER))), []),
    # 400 events a second, of which half are exported.
    "lag-envelopes": (counted(model=Model(lambda _, second: 4000 if second >= AFTER else 1)), []),
    "lag-minutes": (counted(model=STOPPED), []),
    "failures": (counted(*each("failures", 1, range(1, 40), function="finish_connections")), []),
    "timeouts": (counted(), [Line(INCIDENT + 10 * MINUTE, HOST)]),
    "gaps-new": (counted(*each("gaps.new", 400, [1], partition="ns/hub/1")), []),
    "rejections": (counted(*each("rejected", 20, range(1, 40), reason="unreadable_envelope")), []),
    "nothing-arrives": (
        counted(model=Model(lambda _, second: int(second < AFTER)), minutes=25 * 60),
        [],
    ),
    "service-silent": (
        lambda: [*silence("apim-1", until(AFTER)), *silence("apim-2", lambda _: True)],
        [],
    ),
    "compaction-silent": (counted(model=Model(ordinary, compacting=until(AFTER))), []),
    "conflicts": (counted(*each("conflicts", 20, range(1, 40), partition="ns/hub/0")), []),
}

# Similar rows that must not fire the alert.
QUIET: dict[str, tuple[Reports, list[Line]]] = {
    # One event a day in the same hub: it is found waiting, and older than the one before.
    "retention": (
        counted(
            model=Model(lambda _, second: int(second in {640, 640 + 86400}), retention=86400), minutes=1440
        ),
        [],
    ),
    # An outage of 20 minutes, and quiet hours without anything to commit.
    "no-commit": (
        counted(model=Model(hourly, exporting=lambda second: not AFTER <= second < AFTER + 1200)),
        [],
    ),
    # The hub did not answer for 20 minutes.
    "timer-silent": (
        counted(model=Model(ordinary, timer=lambda second: not AFTER <= second < AFTER + 1200)),
        [],
    ),
    "functions-missing": (counted(), [Line(INCIDENT + MINUTE, "2 functions found (Custom)")]),
    "alarms": (counted(), []),
    # An event after three quiet hours; a hub without traffic.
    "integrity": (counted(model=Model(hourly)), []),
    "swap-pending": (counted(*aged([10])), []),
    "lag-envelopes": (counted(model=Model(bursts)), []),
    "lag-minutes": (counted(model=Model(hourly)), []),
    # Storage failed for nine minutes.
    "failures": (counted(*each("failures", 30, range(1, 10), function="export_logs")), []),
    "timeouts": (counted(), [Line(INCIDENT + MINUTE, "Executed 'Functions.export_logs' (Succeeded)")]),
    # Each commit reports an old gap.
    "gaps-new": (counted(*each("gaps", 40000, range(120), partition="ns/hub/0")), []),
    "rejections": (counted(*each("rejected", 6, range(120), reason="unreadable_envelope")), []),
    "nothing-arrives": (counted(model=Model(hourly), minutes=26 * 60), []),
    # A service that is silent for 23 of 24 hours.
    "service-silent": (
        lambda: [
            *silence("apim-1", lambda second: not 4 <= (second - AFTER) // 3600 < 27),
            *silence("apim-2", lambda _: True),
        ],
        [],
    ),
    # A deployment interrupted a run.
    "compaction-silent": (
        counted(model=Model(ordinary, compacting=lambda second: not AFTER <= second < AFTER + 1500)),
        [],
    ),
    "conflicts": (counted(*each("conflicts", 6, range(120), partition="ns/hub/0")), []),
}
OF_A_DAY = {"retention", "nothing-arrives", "service-silent"}


def rules(alert: str) -> dict[int, str]:
    """Returns the deployed rule of this alert."""
    chosen = TUNED if alert in OF_A_DAY else RULES
    if alert == "retention":  # only its retention, not its threshold
        chosen = {0: TUNED[0].replace("retentionPercent = 50", "retentionPercent = 85")}
    return {severity: query for severity, query in chosen.items() if f"alert = '{alert}'" in query}


@cache
def fired(alert: str) -> tuple[int, list[Alert]]:
    """Returns the minutes until the alert fires, and the rows that the rule then returns."""
    reports, lines = FIRES[alert]
    with Workspace(rules(alert), reports(), lines) as workspace:
        # If an alert takes a day, the last hours are enough: it did not fire at their beginning.
        start = INCIDENT + timedelta(hours=20 if alert in OF_A_DAY else 0)
        moment = workspace.first(alert, start, start + timedelta(hours=6 if alert in OF_A_DAY else 3))
        assert moment, alert
        assert moment > start, alert
        return round((moment - INCIDENT) / MINUTE), workspace.firing(moment)


def test_every_alert_has_a_firing_and_a_quiet_case() -> None:
    deployed = [name for query in RULES.values() for name in re.findall(r"alert = '([\w-]+)'", query)]
    assert sorted(deployed) == sorted(FIRES) == sorted(QUIET)


@pytest.mark.parametrize("alert", FIRES)
def test_an_alert_fires_after_the_minutes_in_the_runbook(alert: str) -> None:
    minutes, rows = fired(alert)
    # The rule fires on a value above 0, whatever the query counts.
    assert all(one.value > 0 for one in rows)
    stated = re.search(rf"^\| `{alert}` \| \d \| [^|]+ \| (\d+) \|$", OPERATIONS, re.MULTILINE)
    assert stated, f"{alert}: {minutes} minutes"
    assert minutes == int(stated[1])


@pytest.mark.parametrize("alert", QUIET)
def test_an_alert_does_not_fire_for_similar_situations(alert: str) -> None:
    reports, lines = QUIET[alert]
    metrics = reports()
    with Workspace(rules(alert), metrics, lines) as workspace:
        end = max([*(row.time for row in metrics), *(line.time for line in lines)])
        start = end - timedelta(hours=3) if alert in OF_A_DAY else INCIDENT
        assert workspace.first(alert, start, end) is None


def test_silence_of_all_services_is_one_alert_of_the_hub() -> None:
    # The second service ends five minutes later, so its silence crosses the threshold later.
    metrics = [*silence("apim-1", until(AFTER)), *silence("apim-2", until(AFTER + 300))]
    with Workspace(rules("service-silent"), metrics) as workspace:
        found = [workspace.firing(INCIDENT + timedelta(hours=24, minutes=at)) for at in (-30, 30, 60, 200)]
    assert found == [[], [], [], []]


def test_the_runbook_states_severity_and_page_of_each_alert() -> None:
    for severity, query in RULES.items():
        for alert in re.findall(r"alert = '([\w-]+)'", query):
            assert f"\n| `{alert}` | {severity} |" in OPERATIONS
            assert f"\n### `{alert}`\n" in OPERATIONS


def test_a_row_has_alert_subject_value_and_page() -> None:
    minutes, rows = fired("no-commit")
    page = "docs/operations.md#no-commit"
    assert sorted((one.severity, one.name, one.subject, one.page) for one in rows) == [
        (1, "no-commit", "ns/hub/0", page),
        (1, "no-commit", "ns/hub/1", page),
    ]
    # One event every 20 s waits.
    assert {one.value for one in rows} <= {float(n) for n in range(1, 3 * minutes)}


def test_silence_is_an_alert_before_there_are_any_tables() -> None:
    with Workspace(RULES) as workspace:
        fired = {one.name for one in workspace.firing(INCIDENT)}
    assert fired == {"timer-silent", "compaction-silent"}


def test_a_stopped_app_fires_an_alert() -> None:
    off = until(AFTER)
    stopped = Model(lambda _, second: int(second < AFTER), exporting=off, timer=off, compacting=off)
    with Workspace(RULES, stopped.reports(BEGINS + 180)) as workspace:
        fired = {one.name for one in workspace.firing(INCIDENT + timedelta(hours=3))}
    assert fired == {"timer-silent", "compaction-silent"}


DAYS = effort(1, 4) / 2
"""The days of each kind of traffic; `make proof` takes a week in total."""


@pytest.mark.parametrize("arrivals", [ordinary, hourly, bursts, busy], ids=lambda one: one.__name__)
def test_normal_traffic_of_each_kind_fires_no_alert(arrivals: Callable[[int, int], int]) -> None:
    """Includes a deployment and a short outage of storage every half day."""
    halves = range(int(2 * DAYS))
    deployed = [43200 * half + 36000 for half in halves]
    failing = [43200 * half + 18000 for half in halves]

    def exporting(second: int) -> bool:
        return not any(at <= second < at + 180 for at in [*deployed, *failing])

    def timer(second: int) -> bool:
        return not any(at <= second < at + 180 for at in deployed)

    metrics = list(Model(arrivals, exporting=exporting, timer=timer).reports(720 * len(halves)))
    for at in failing:
        metrics += [
            Metric(START + timedelta(seconds=at + 60 * minute), "failures", 8, {"function": "export_logs"})
            for minute in range(4)
        ]
    for at in deployed:
        metrics.append(
            Metric(START + timedelta(seconds=at + 240), "conflicts", 40, {"partition": "ns/hub/0"})
        )
    woken: list[tuple[datetime, Alert]] = []
    with Workspace(RULES, metrics, [Line(START, "Host started")]) as workspace:
        now = START + timedelta(hours=2, minutes=30)
        while now < START + timedelta(days=DAYS):
            woken += [(now, one) for one in workspace.firing(now)]
            now += STEP if DAYS > 1 else 6 * STEP
    assert woken == []
