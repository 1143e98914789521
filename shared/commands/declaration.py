"""Declares commands and the arguments that several of them have."""

import argparse
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.clock import now
from shared.commands import console
from shared.commands.help_text import HelpFormatter
from shared.errors import PartitionUnknown
from shared.timeunits import SECOND, microseconds

SPANS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
TIMES = "1w, 30d, 12h, 90m, 2026-11-20 or 2026-11-20T10:00Z"
"""Examples of times."""
SETTINGS = """
The command reads the settings of the function app from the environment: OutputStorage (a connection string)
or OutputStorage__blobServiceUri (with your own sign-in or a managed identity), and, if they differ from the
defaults, OUTPUT_CONTAINER, DEAD_LETTER_CONTAINER, STATE_CONTAINER and StateStorage.
"""


def command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], help_: str, more: str, examples: str
) -> argparse.ArgumentParser:
    """Declares a command; `run` returns its exit status."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help_,
        description=f"{help_}\n{more}",
        epilog=f"examples:\n{examples}",
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--verbose", action="store_true", help="show the log of Azure's libraries on stderr")

    def checked(options: argparse.Namespace) -> int:
        since, until = getattr(options, "since", None), getattr(options, "until", None)
        if since is not None and until is not None and since >= until:
            return console.failed("the range is empty: --since must be before --until")
        return run(options)

    parser.set_defaults(run=checked)
    return parser


def add_range(parser: argparse.ArgumentParser, since: str, until: str) -> None:
    """Adds --since and --until (µs since 1970 UTC; default: all times) with these help texts."""
    parser.add_argument("--since", type=past, default=0, metavar="TIME", help=since)
    parser.add_argument("--until", type=moment, default=1 << 62, metavar="TIME", help=until)


def moment(text: str) -> int:
    """Parses a time after 1970, or an age of at least one minute, to µs since 1970 UTC."""
    span = re.fullmatch(r"([1-9]\d{0,4})([mhdw])", text)
    if span:
        found = now() - int(span[1]) * microseconds(SPANS[span[2]])
    else:
        try:
            given = datetime.fromisoformat(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {TIMES}, got {text!r}") from None
        found = int((given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()) * SECOND
    if found <= 0:
        raise argparse.ArgumentTypeError(f"expected a time after 1970, such as {TIMES}, got {text!r}")
    return found


def past(text: str) -> int:
    """Parses a time like `moment`, but rejects times in the future."""
    found = moment(text)
    if found > now():
        raise argparse.ArgumentTypeError(f"expected a time in the past, got {text!r}")
    return found


def seconds(text: str) -> float:
    """Parses a number of seconds, at least one."""
    if not re.fullmatch(r"\d+(\.\d+)?", text) or float(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number of seconds of at least 1, got {text!r}")
    return float(text)


def partition_named(name: str, known: Iterable[str]) -> str:
    """Returns the partition with this name, or with this id if it is unique. Raises PartitionUnknown."""
    there = sorted(known)
    found = [one for one in there if one == name] or [one for one in there if one.endswith(f"/{name}")]
    if len(found) == 1:
        return found[0]
    which = "is the id of several partitions" if found else "there is no such partition"
    raise PartitionUnknown(f"{name}: {which}; partitions: {', '.join(there) or 'none yet'}")
