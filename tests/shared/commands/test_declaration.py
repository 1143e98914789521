"""Options of commands are parsed strictly, and partitions may be named by their id."""

import argparse

import pytest

from shared.commands import declaration
from shared.errors import PartitionUnknown
from shared.timeunits import DAY, HOUR, MINUTE, SECOND

KNOWN = ["ns/a/0", "ns/a/1", "ns/b/1", "ns/b/10"]


@pytest.mark.parametrize(
    ("name", "found"), [("0", "ns/a/0"), ("10", "ns/b/10"), ("ns/a/1", "ns/a/1"), ("b/1", "ns/b/1")]
)
def test_a_partition_is_found_by_name_or_unique_id(name: str, found: str) -> None:
    assert declaration.partition_named(name, KNOWN) == found


@pytest.mark.parametrize(("name", "problem"), [("1", "several partitions"), ("2", "no such partition")])
def test_other_names_are_rejected_with_the_known_partitions(name: str, problem: str) -> None:
    with pytest.raises(PartitionUnknown, match=rf"{problem}.*; partitions: ns/a/0, ns/a/1"):
        declaration.partition_named(name, reversed(KNOWN))
    with pytest.raises(PartitionUnknown, match="none yet"):
        declaration.partition_named(name, [])


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("90m", -90 * MINUTE),
        ("12h", -12 * HOUR),
        ("30d", -30 * DAY),
        ("2w", -14 * DAY),
        ("2026-11-20T10:00Z", 1_795_168_800 * SECOND),
        ("2026-11-20T10:00", 1_795_168_800 * SECOND),
        ("2026-11-20T12:00+02:00", 1_795_168_800 * SECOND),
        ("2026-11-20", 1_795_132_800 * SECOND),
    ],
)
def test_a_moment_is_an_age_or_a_time_in_utc(monkeypatch: pytest.MonkeyPatch, text: str, moment: int) -> None:
    now = 1_900_000_000 * SECOND
    monkeypatch.setattr(declaration, "now", lambda: now)
    assert declaration.moment(text) == (moment if moment > 0 else now + moment)


@pytest.mark.parametrize("text", ["", "1", "m", "1 h", "1y", "-1h", "0d", "00h", "yesterday", "2026-13-01"])
def test_other_texts_are_rejected_as_times(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected 1w"):
        declaration.moment(text)


@pytest.mark.parametrize("text", ["1969-12-31", "0001-01-01", "99999w"])
def test_a_moment_is_after_1970(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="expected a time after 1970, such as 1w"):
        declaration.moment(text)


def test_the_past_does_not_include_the_future(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declaration, "now", lambda: 1_795_168_800 * SECOND)
    assert declaration.past("2026-11-20T10:00Z") == 1_795_168_800 * SECOND
    with pytest.raises(argparse.ArgumentTypeError, match="expected a time in the past, got '2026-11-21'"):
        declaration.past("2026-11-21")


def test_seconds_are_at_least_one() -> None:
    assert [declaration.seconds(text) for text in ("1", "1.0", "2.5")] == [1, 1, 2.5]
    for text in ("0.9", "0", "-1", "1e3", "", "nan", "1."):
        with pytest.raises(argparse.ArgumentTypeError, match="at least 1"):
            declaration.seconds(text)


def test_options_cannot_be_abbreviated(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    declared = declaration.command(parser.add_subparsers(), "run", lambda _: 0, "Runs.", "More.", "  run")
    assert parser.parse_args(["run", "--verbose"]).verbose
    assert (options := parser.parse_args(["run"])).run(options) == 0
    with pytest.raises(SystemExit):
        parser.parse_args(["run", "--verb"])
    assert "unrecognized arguments: --verb" in capsys.readouterr().err
    assert "examples:\n  run" in declared.format_help()


def test_a_range_ends_after_it_begins(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    declared = declaration.command(parser.add_subparsers(), "run", lambda _: 0, "Runs.", "More.", "  run")
    declaration.add_range(declared, "begin", "end")
    for good in ([], ["--since", "2d"], ["--until", "2d"], ["--since", "2d", "--until", "1d"]):
        assert (options := parser.parse_args(["run", *good])).run(options) == 0
    options = parser.parse_args(["run", "--since", "1d", "--until", "2d"])
    assert options.run(options) == 2
    assert "the range is empty: --since must be before --until" in capsys.readouterr().err
