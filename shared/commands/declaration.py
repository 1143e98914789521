"""Declares commands and the arguments that several of them have."""

import argparse
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.clock import now
from shared.commands.help_text import HelpFormatter
from shared.errors import PartitionUnknown
from shared.timeunits import SECOND, microseconds

SPANS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
SETTINGS = """
It reads the settings of the function app from the environment: OutputStorage (a connection string) or
OutputStorage__blobServiceUri (with your own sign-in or a managed identity), and, if they differ from the
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
    parser.set_defaults(run=run)
    return parser


def add_range(parser: argparse.ArgumentParser, since: str, until: str) -> None:
    """Adds --since and --until with these help texts: µs since 1970 UTC, by default all times."""
    parser.add_argument("--since", type=moment, default=0, metavar="TIME", help=since)
    parser.add_argument("--until", type=moment, default=1 << 62, metavar="TIME", help=until)


def moment(text: str) -> int:
    """Parses a time or an age into µs since 1970 UTC."""
    span = re.fullmatch(r"(\d{1,5})([mhdw])", text)
    if span:
        return now() - int(span[1]) * microseconds(SPANS[span[2]])
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected 1w, 30d, 12h, 90m, 2026-11-20 or 2026-11-20T10:00Z, got {text!r}"
        ) from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()) * SECOND


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
