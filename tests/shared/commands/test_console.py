"""Tables fit the terminal, ages and numbers read well, and untrusted text cannot control the terminal."""

import io
import logging
import sys

import pytest

from shared.commands import console
from shared.timeunits import DAY, HOUR, MINUTE, SECOND


class Terminal(io.StringIO):
    """Standard output or error, connected to a terminal."""

    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch, answer: str = "") -> Terminal:
    """Connects the process to a small terminal at which the user types an answer; returns its output."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "5")
    output = Terminal()
    for name, stream in {"stdin": Terminal(answer), "stdout": output, "stderr": output}.items():
        monkeypatch.setattr(sys, name, stream)
    return output


def test_color_is_for_terminals_without_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch)
    assert console.paint("x", console.RED) == "\033[31mx\033[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert console.paint("x", console.RED) == "x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert console.paint("x", console.RED) == "x"


@pytest.mark.parametrize(
    ("answer", "agreed"), [("yes\n", True), (" YES \n", True), ("y\n", False), ("", False)]
)
def test_a_change_needs_the_word_yes(monkeypatch: pytest.MonkeyPatch, answer: str, *, agreed: bool) -> None:
    output = terminal(monkeypatch, answer)
    assert console.confirmed("Delete?", yes=False) is agreed
    assert ("Nothing was changed" in output.getvalue()) is not agreed


def test_without_a_terminal_only_the_option_confirms(capsys: pytest.CaptureFixture[str]) -> None:
    assert not console.confirmed("Delete?", yes=False)
    assert "--yes" in capsys.readouterr().out
    assert console.confirmed("Delete?", yes=True)


def test_a_table_has_minimum_widths_and_right_aligned_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rows = [["a", 1234, "x", "-"], ["bcd", 5, "yz", "1.5"]]
    assert console.table(["name", "n", "t", "d"], rows) == [
        *("name      n  t     d", "a     1,234  x     -", "bcd       5  yz  1.5")
    ]


@pytest.mark.parametrize(("things", "said"), [("A", "A"), ("AB", "A and B"), ("ABC", "A, B and C")])
def test_things_are_joined_as_in_a_sentence(things: str, said: str) -> None:
    assert console.joined([*things]) == said


@pytest.mark.parametrize("columns", [24, 25, 26, 27])
def test_only_the_first_column_of_a_wide_table_shrinks(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = console.table(["name", "second"], [["abcdefghijklmnop", "0123456789"[:8]]])
    assert max(map(len, lines)) == min(columns, 26)
    assert ("…" in lines[1]) is (columns < 26)
    assert lines[1].endswith("  01234567")


def test_the_first_column_keeps_eight_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "1")
    assert console.table(["a", "b"], [["0123456789", "x"]])[1] == "01…56789  x"


@pytest.mark.parametrize(
    ("text", "width", "short"), [("abcdef", 6, "abcdef"), ("abcdefg", 6, "a…defg"), ("abcdef", 4, "a…ef")]
)
def test_a_shortened_text_keeps_more_of_its_end(text: str, width: int, short: str) -> None:
    assert console.shortened(text, width) == short
    assert len(short) <= width


def test_untrusted_text_is_escaped_and_shortened() -> None:
    assert console.printable("é\x1b[2J\n") == "é\\u001b[2J\\u000a"
    assert console.printable("x" * 60) == "x" * 60
    assert console.printable("x" * 61) == "x" * 60 + "…"


def test_times_are_shown_in_utc() -> None:
    assert console.time(1_795_168_800 * SECOND + 999_999) == "2026-11-20 10:00:00Z"
    assert console.time(1) == "1970-01-01 00:00:00Z"
    assert console.time(0) == console.time(-1) == "-"


@pytest.mark.parametrize(
    ("age", "shown"),
    [
        (-SECOND, "0 s ago"),
        (2 * MINUTE - SECOND, "119 s ago"),
        (2 * MINUTE, "2 min ago"),
        (2 * HOUR - SECOND, "119 min ago"),
        (2 * HOUR, "2 h ago"),
        (2 * DAY - SECOND, "47 h ago"),
        (2 * DAY, "2 d ago"),
        (2000 * DAY, "2,000 d ago"),
    ],
)
def test_ages_use_the_largest_unit_of_at_least_two(age: int, shown: str) -> None:
    now = 10_000 * DAY
    assert console.ago(now - age, now) == shown
    assert console.ago(0, now) == console.ago(-1, now) == "-"


def test_a_redrawn_screen_says_how_much_did_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    output = terminal(monkeypatch)
    console.redraw(["a", "b", "c", "d"])
    assert output.getvalue() == "\033[Ha\033[K\nb\033[K\nc\033[K\nd\033[K\n\033[J"
    output.truncate(0)
    console.redraw([*"abcde"])
    assert output.getvalue().endswith("c\033[K\n2 more lines: enlarge the terminal\033[K\n\033[J")


def test_progress_overwrites_itself_and_errors_erase_it(monkeypatch: pytest.MonkeyPatch) -> None:
    output = terminal(monkeypatch)
    console.progress("reading", 1, 3)
    assert output.getvalue() == f"\r\033[Kreading {'#' * 10:<30} 1 of 3"
    console.progress("reading", 7, 0)
    assert output.getvalue().endswith("\r\033[Kreading 7")
    assert console.failed("no") == 2
    assert output.getvalue().endswith("\r\033[Kerror: no\n")


def test_progress_is_not_shown_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    console.progress("reading", 1, 3)
    console.progressed()
    assert capsys.readouterr().err == ""


def test_sentences_wrap_between_words_with_an_indent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "12")
    assert console.wrapped("one two three-and-more four") == ["one two", "  three-and-more", "  four"]
    assert console.wrapped("one two three four", indent="  ") == ["  one two", "    three", "    four"]


@pytest.mark.parametrize("verbose", [True, False])
def test_the_log_of_azure_is_shown_only_on_request(monkeypatch: pytest.MonkeyPatch, *, verbose: bool) -> None:
    azure = logging.getLogger("azure")
    for name, value in {"propagate": True, "handlers": [], "level": logging.NOTSET}.items():
        monkeypatch.setattr(azure, name, value)
    configured: list[object] = []
    monkeypatch.setattr(logging, "basicConfig", lambda **options: configured.append(options["stream"]))
    console.log_to_stderr(verbose=verbose)
    assert configured == ([sys.stderr] if verbose else [])
    assert azure.propagate is verbose
    assert azure.level == (logging.INFO if verbose else logging.NOTSET)
