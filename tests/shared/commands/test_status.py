"""`status` shows a verdict first, in lines that fit, without flicker."""

import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from shared.audit.audit import OK, UNKNOWN, WRONG
from shared.commands import console, status_text
from shared.commands.status_model import Meaning, Name, PartitionState, Pending, Status
from shared.connections.manifest import EventNameCounts, Manifest, Part, Totals
from shared.connections.service_activity import ServiceActivity
from shared.lag import Lag
from shared.matching.sample import Sample
from shared.protocol.incarnation import Incarnation
from shared.protocol.ledger import Counts, Ledger
from shared.timeunits import DAY, HOUR, MINUTE, SECOND
from tests.shared.exported import Exported, envelopes

NOW = 500_000 * HOUR
HUB = "a-namespace-with-the-longest-name-that-there-may-be.servicebus.windows.net/insights-logs-websocket"
SERVICE = "/subscriptions/11111111-1111-1111-1111-111111111111/resourcegroups/{}/providers/m.apim/service/{}"


def partition_state(partition: str, lag: Lag | None = None, **counts: Any) -> PartitionState:
    life = Incarnation(next=98_765_432_101, newest=NOW)
    ledger = Ledger(
        ledger_id="a",
        partition=partition,
        incarnation=life,
        counts=Counts(**counts),
        committed_at=NOW - MINUTE,
    )
    return PartitionState(partition, ledger, lag)


BUSY = partition_state(
    f"{HUB}/31", Lag(12_345_678, 86_400, 987_654_321), records=98_765_432_101, rows=98_765_432_101
)
QUIET = partition_state(f"{HUB}/0", Lag(0, 0))
MANIFEST = Manifest(
    parts=(Part(name="a", low="", rows=5, open=2, due=0),),
    totals=Totals(connections=7_000_000, revisions=1, indeterminate=6_000_000, arrival_seconds=660),
    services={
        SERVICE.format("rg-one", "apim"): ServiceActivity(newest=NOW - 2 * DAY, hours={}),
        SERVICE.format("rg-two", "apim"): ServiceActivity(newest=NOW - SECOND, hours={500_000: 4321}),
        SERVICE.format("rg-two", "other"): ServiceActivity(newest=NOW, hours={499_990: 1}),
    },
)
FULL = Status(
    partitions=[BUSY, QUIET],
    names=[
        Name(
            "WebSocketConnection" * 5,
            EventNameCounts(connections=1234567, first=1234567, newest=NOW),
            Meaning.BOTH,
        )
    ],
    manifest=MANIFEST,
    matches=[Sample("View", "ApiManagementGatewayLogs", NOW, 1000, 0)],
    swap=Pending("parquet/Table/date=2026-11-20/hour=09/", "a", NOW, 5, visible=True, left=("b" * 70,)),
    alarms=["its ledger is not the one that was seen before, or it is older: see accept-ledger"],
    unknown=("Lag is unknown, because the hub has not answered in so many words that they need two lines",),
)


def shown(found: Status) -> str:
    return "\n".join(status_text.lines(found, 7 * 86_400, NOW))


@pytest.mark.parametrize(("columns", "width"), [({}, 80), ({"COLUMNS": "80"}, 80), ({"COLUMNS": "100"}, 100)])
def test_every_line_fits_the_terminal(
    columns: Mapping[str, str], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    for name, value in columns.items():
        monkeypatch.setenv(name, value)
    two_hubs = replace(FULL, partitions=[BUSY, partition_state("another.servicebus.windows.net/hub/0")])
    for found in (FULL, two_hubs):
        # An id that is longer than a line is not broken, because users copy it.
        lines = [line for line in shown(found).splitlines() if "b" * 70 not in line and HUB not in line]
        assert len(lines) > 20
        assert [line for line in lines if len(line) > width] == []
        assert max(map(len, lines)) > width - 12, "the width is used"


def test_the_status_begins_with_its_verdict() -> None:
    alone = replace(FULL, alarms=[], unknown=(), partitions=[QUIET])
    waiting = replace(alone, partitions=[partition_state("a/0", Lag(1, 30)), QUIET])
    other = partition_state("a/0")
    other.alarms.append("it stands still")
    for found, status, sentence in (
        (alone, OK, "All is well: 1 partition, and nothing is waiting in the hub."),
        (waiting, OK, "All is well: 2 partitions; 1 envelope is waiting in the hub, for up to 0.5 min."),
        (
            replace(alone, unknown=("x",), partitions=[partition_state("a/0")]),
            OK,
            "Nothing looks wrong with 1 partition; without the hub,",
        ),
        (
            replace(alone, unknown=("Lag.",), failed=True),
            UNKNOWN,
            "It is unknown whether all is well. Lag.",
        ),
        (replace(alone, partitions=[]), UNKNOWN, "Nothing was committed yet"),
        (replace(alone, partitions=[other]), WRONG, "1 problem needs attention: a/0: it stands still"),
        (
            replace(alone, partitions=[other], alarms=["b"]),
            WRONG,
            "2 problems need attention: see the last lines.",
        ),
    ):
        assert found.verdict[0] == status
        assert shown(found).startswith(sentence), shown(found).splitlines()[0]


def test_services_are_sorted_by_silence() -> None:
    rows = [line.split() for line in shown(FULL).splitlines() if re.match(r"\S*(/apim|other) ", line)]
    assert [row[1:] for row in rows] == [
        ["2", "d", "ago", "0"],
        ["1", "s", "ago", "4,321"],
        ["0", "s", "ago", "1"],
    ]
    assert "…" in rows[0][0], "two services have one name, so that their ids are shown, as far as they fit"
    assert rows[0][0] != rows[1][0]
    assert rows[2][0] == "other"


def test_rows_are_shown_by_table_if_several_are_exported() -> None:
    one = partition_state("a/0", rows=3, tables={"First": 3})
    assert "table" not in shown(replace(FULL, partitions=[one], swap=None, matches=[], alarms=[]))
    other = partition_state("a/1", rows=1234, tables={"First": 1000, "Second": 234})
    printed = shown(replace(FULL, partitions=[one, other]))
    assert re.search(r"^table +rows$\nFirst +1,003\nSecond +234$", printed, re.MULTILINE)


def test_color_is_on_a_terminal_and_off_with_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert shown(FULL).startswith(f"\033[{console.RED}m")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\033" not in shown(FULL)


@pytest.mark.parametrize(("number", "text"), [(0, "0 files"), (1, "1 file"), (1234, "1,234 files")])
def test_nouns_agree_with_their_number(number: int, text: str) -> None:
    assert console.counted(number, "file") == text


def test_ages_are_short() -> None:
    ages = [0, 119 * SECOND, 2 * MINUTE, 119 * MINUTE, 2 * HOUR, 47 * HOUR, 2 * DAY, 400 * DAY]
    expected = ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d", "400 d"]
    assert [console.ago(NOW - age, NOW) for age in ages] == [f"{age} ago" for age in expected]
    assert console.ago(-1, NOW) == "-"


def test_watching_redraws_in_place_and_cuts_long_output(exported: Exported) -> None:
    exported.export(envelopes(0, 9))
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "shared", "status", "--watch", "1"],
        env=os.environ | exported.environment | {"COLUMNS": "80", "LINES": "9"},
        stdout=theirs,
        stderr=subprocess.PIPE,
    ) as watch:
        os.close(theirs)
        seen, until = "", time.monotonic() + 60
        while seen.count("\033[J") < 3 and time.monotonic() < until:
            seen += os.read(ours, 65536).decode()
        watch.terminate()
    os.close(ours)
    screens = seen.split("\033[H")[1:]
    assert len(screens) >= 3
    assert "\033[2J" not in seen, "a screen that is cleared flickers"
    for screen in screens[:2]:
        assert screen.endswith("\033[J")
        lines = screen.removesuffix("\033[J").split("\r\n")[:-1]
        assert all(line.endswith("\033[K") for line in lines)
        assert len(lines) == 8
        assert re.match(r"\d+ more lines: enlarge the terminal", lines[-1])
