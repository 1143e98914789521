"""The text of a status fits the terminal and reads well."""

import re
from collections.abc import Mapping
from dataclasses import replace

import pytest

from shared.commands import console
from shared.timeunits import DAY, HOUR, MINUTE, SECOND
from tests.shared.commands.sample_status import (
    BUSY,
    FULL,
    HUB,
    NOW,
    partition_state,
    shown,
)


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


def test_the_retention_is_asked_for_only_if_lag_is_known() -> None:
    unknown = replace(FULL, partitions=[partition_state("a/0")])
    cases = ((FULL, 0), (FULL, 1), (unknown, 0), (unknown, 1))
    asked = ["EVENT_HUB_RETENTION" in shown(found, retention) for found, retention in cases]
    assert asked == [True, False, False, False]


def test_ages_are_short() -> None:
    ages = [0, 119 * SECOND, 2 * MINUTE, 119 * MINUTE, 2 * HOUR, 47 * HOUR, 2 * DAY, 400 * DAY]
    expected = ["0 s", "119 s", "2 min", "119 min", "2 h", "47 h", "2 d", "400 d"]
    assert [console.ago(NOW - age, NOW) for age in ages] == [f"{age} ago" for age in expected]
    assert console.ago(-1, NOW) == "-"
