"""Console output: human-readable tables and times; colors and progress only on a terminal."""

import logging
import os
import re
import shutil
import sys
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson

from shared.json_document import Document
from shared.timeunits import DAY, HOUR, MINUTE, SECOND
from shared.wording import counted

RED, YELLOW, GREEN, BOLD = "31", "33", "32", "1"


def paint(text: str, color: str) -> str:
    """Returns the text in color on a terminal, unless NO_COLOR is set (https://no-color.org)."""
    colored = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return f"\033[{color}m{text}\033[0m" if colored else text


def say(text: str = "") -> None:
    """Prints a line."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say_json(document: Document) -> None:
    """Prints a document as JSON."""
    say(orjson.dumps(document.model_dump(mode="json"), option=orjson.OPT_INDENT_2).decode())


def confirmed(question: str, *, yes: bool) -> bool:
    """Whether the user agrees: by `yes`, or by answering the question at a terminal."""
    if yes:
        return True
    if sys.stdin.isatty() and sys.stdout.isatty():
        say(f"{question} Type yes to continue:")
        if sys.stdin.readline().strip().lower() == "yes":
            return True
        say("Nothing was changed.")
    else:
        say("Nothing was changed: add --yes to make the change.")
    return False


def failed(message: str) -> int:
    """Prints an error to standard error, and returns the exit status 2."""
    progressed()
    sys.stderr.write(f"error: {message}\n")
    return 2


def waiting(text: str) -> None:
    """Prints a line to standard error that says what a command is waiting for."""
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


def size() -> tuple[int, int]:
    """Returns the columns and lines of the terminal: COLUMNS and LINES, its actual size, or 80 and 24."""
    return shutil.get_terminal_size((80, 24))


def redraw(lines: Sequence[str]) -> None:
    """Replaces the lines shown before: in place on a terminal, otherwise below them.

    It writes once and does not clear the screen, so that nothing flickers.
    """
    if not sys.stdout.isatty():
        sys.stdout.write("\n".join([*lines, "", ""]))
    else:
        room = size()[1] - 1
        if len(lines) > room:
            left = counted(len(lines) - room + 1, "more line")
            lines = [*lines[: room - 1], f"{left}: enlarge the terminal"]
        drawn = "".join(f"{line}\033[K\n" for line in lines)
        sys.stdout.write(f"\033[H{drawn}\033[J")
    sys.stdout.flush()


def wrapped(text: str, color: str = "", indent: str = "") -> list[str]:
    """Wraps a sentence into lines that fit the terminal; the second and later ones are indented further."""
    lines = textwrap.wrap(
        text,
        size()[0],
        initial_indent=indent,
        subsequent_indent=f"{indent}  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [paint(line, color) if color else line for line in lines]


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Formats a table with columns of minimum width and right-aligned numbers.

    If they do not fit the terminal, the first column is shortened in the middle.
    """
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    over = sum(widths) + 2 * (len(widths) - 1) - size()[0]
    if over > 0:
        widths[0] = max(len(header[0]), widths[0] - over, 8)
    number = re.compile(r"-|-?[\d,]+(\.\d+)?")
    right = [at > 0 and all(number.fullmatch(row[at]) for row in cells) for at in range(len(header))]

    def line(row: Sequence[str]) -> str:
        padded = zip([shortened(row[0], widths[0]), *row[1:]], widths, right, strict=True)
        return "  ".join(
            f"{cell:>{width}}" if end else f"{cell:<{width}}" for cell, width, end in padded
        ).rstrip()

    return [paint(line(header), BOLD), *map(line, cells)]


def shortened(text: str, width: int) -> str:
    """Shortens a text in the middle; keeps more of its end, which distinguishes ids."""
    if len(text) <= width:
        return text
    begin = (width - 1) // 3
    return f"{text[:begin]}…{text[len(text) - (width - 1 - begin) :]}"


def joined(things: Sequence[str]) -> str:
    """Lists things in a sentence: `A`, `A and B`, `A, B and C`."""
    return " and ".join(filter(None, (", ".join(things[:-1]), things[-1])))


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


def ago(microseconds: int, now: int) -> str:
    """Formats how long ago a time is, such as `12 s ago`; both are µs since 1970 UTC."""
    if microseconds <= 0:
        return "-"
    age = max(0, now - microseconds)
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if age >= 2 * unit:
            return f"{age // unit:,} {name} ago"
    return f"{age // SECOND} s ago"
