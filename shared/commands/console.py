"""Console output: human-readable tables and times; colors and progress only on a terminal."""

import logging
import os
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from shared.timeunits import SECOND

RED, YELLOW, GREEN, BOLD = "31", "33", "32", "1"


def paint(text: str, colour: str) -> str:
    """Returns the text in color on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    colored = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return f"\033[{colour}m{text}\033[0m" if colored else text


def say(text: str = "") -> None:
    """Prints a line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def failed(message: str) -> int:
    """Prints an error on standard error, and returns the exit status 2."""
    progressed()
    sys.stderr.write(f"error: {message}\n")
    return 2


def waiting(text: str) -> None:
    """Prints a line on standard error about what a command waits for."""
    progressed()
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def log_to_stderr(*, verbose: bool) -> None:
    """Sends the log of Azure's libraries to standard error if `verbose`, and discards it otherwise.

    Their warnings would only repeat the error that the command prints.
    """
    azure = logging.getLogger("azure")
    if verbose:
        logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(name)s: %(message)s")
        azure.setLevel(logging.INFO)
    else:
        azure.addHandler(logging.NullHandler())
        azure.propagate = False


def clear() -> None:
    """Clears the screen of a terminal."""
    if sys.stdout.isatty():
        sys.stdout.write("\033[H\033[2J")


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Formats a table with columns as wide as necessary and numbers aligned to the right."""
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    number = re.compile(r"-|-?[\d,]+(\.\d+)?")
    right = [all(number.fullmatch(row[at]) for row in cells) for at in range(len(header))]

    def line(row: Sequence[str]) -> str:
        padded = zip(row, widths, right, strict=True)
        return "  ".join(
            f"{cell:>{width}}" if end else f"{cell:<{width}}" for cell, width, end in padded
        ).rstrip()

    say(paint(line(header), BOLD))
    for row in cells:
        say(line(row))


def progress(doing: str, done: int, total: int) -> None:
    """Shows progress on one line of a terminal, which the next call overwrites."""
    if sys.stderr.isatty():
        bar = f"{'#' * (30 * done // total):<30} {done:,} of {total:,}" if total else f"{done:,}"
        sys.stderr.write(f"\r\033[K{doing} {bar}")
        sys.stderr.flush()


def progressed() -> None:
    """Erases the progress line."""
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")


def printable(text: str, width: int = 60) -> str:
    """Makes untrusted text safe for a terminal: escapes control characters and shortens it."""
    shown = "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text[:width])
    return shown if len(text) <= width else f"{shown}…"


def time(microseconds: int) -> str:
    """Formats µs since 1970 UTC as `2026-11-20 10:00:00Z`."""
    if microseconds <= 0:
        return "-"
    return f"{datetime.fromtimestamp(microseconds // SECOND, UTC):%Y-%m-%d %H:%M:%S}Z"
