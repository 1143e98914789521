"""`capture`: saves masked envelopes from the hub as fixtures that are safe to share."""

import argparse
import secrets
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from shared import settings
from shared.audit.audit import OK, WRONG
from shared.capture import capture as capturing
from shared.capture.capture import Capture, Wanted
from shared.capture.masking import Masks
from shared.clock import now
from shared.commands.console import YELLOW, joined, paint, printable, say
from shared.commands.declaration import command, moment, seconds
from shared.errors import SettingError
from shared.settings.command_line import HubSettings
from shared.wording import counted

MORE = """
Ids, addresses, names and texts are masked before anything is written. Equal values get equal masks of the
same form, and nobody can reverse them, because the key exists for one run only. Everything that parsing
depends on is kept (docs/capture.md). Review the files before you send them to anybody.

The command reads in a separate consumer group and writes no checkpoint. It needs EventHubConnection
(a connection string) or EventHubConnection__fullyQualifiedNamespace (with your own sign-in or a managed
identity that has the role Azure Event Hubs Data Receiver), EVENT_HUB_NAME, and EVENT_HUB_CONSUMER_GROUP, the
exporter's group, which it avoids.
Exit status: 0 envelopes were saved, 1 nothing was saved, 2 the command failed.
"""
EXAMPLES = """  python -m shared capture --group tools
  python -m shared capture --group tools --from beginning --records 100 --output captured
  python -m shared capture --group tools --from latest --wait 600 --all --shift-times"""
SHOWN = 12
"""Maximum number of values printed for a key."""
WIDTH = 160
"""Maximum length of a printed value."""
YEARS = 10


def declare(commands: Any) -> None:
    """Adds the command to the command line."""
    parser = command(
        commands,
        "capture",
        _run,
        "Saves masked envelopes from the hub as fixtures. Changes nothing in Azure.",
        MORE,
        EXAMPLES,
    )
    parser.add_argument("--group", required=True, help="a consumer group that nothing else uses")
    parser.add_argument(
        "--from",
        dest="start",
        type=_start,
        default="1h",
        metavar="TIME",
        help="beginning, latest, 1h, 2026-11-20 or 2026-11-20T10:00Z (default: 1h ago)",
    )
    parser.add_argument(
        "--envelopes",
        type=_positive,
        default=20,
        metavar="N",
        help="the maximum number of envelopes (default: 20)",
    )
    parser.add_argument("--records", type=_positive, metavar="N", help="the maximum number of records")
    parser.add_argument(
        "--wait",
        type=seconds,
        default=60,
        metavar="SECONDS",
        help="the maximum time to wait, in seconds (default: 60)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("captured"),
        metavar="FOLDER",
        help="a new folder (default: captured)",
    )
    parser.add_argument(
        "--all", action="store_true", help="also capture envelopes of other categories; all are masked"
    )
    parser.add_argument(
        "--shift-times",
        action="store_true",
        help="shift times by a secret number of days; intervals do not change",
    )
    parser.add_argument(
        "--exporters-group", action="store_true", help="allow --group to be the exporter's group"
    )


def _run(options: argparse.Namespace) -> int:
    from shared.azure.event_hub import EventHub  # noqa: PLC0415 - commands that need no hub start faster without

    config = settings.load_as(HubSettings)
    _check(config, options)
    hub = EventHub(config.hub, config.EVENT_HUB_NAME, options.group)
    hub.state()  # a missing hub is an error, not a hub without events
    capturing.prepare(options.output)
    days = secrets.randbelow(365 * YEARS) + 1 if options.shift_times else 0
    wanted = Wanted(options.envelopes, options.records, options.all)
    capture = Capture(wanted, Masks(secrets.token_bytes(32), days), days)
    hub.read(options.start, capture.take, options.wait)
    for reason, number in capture.left.items():
        say(f"{counted(number, 'envelope')} left out: {reason}")
    if not capture.taken:
        say(f"Nothing was saved in {options.wait:.0f} s: try --from beginning, a longer --wait, or --all")
        return WRONG
    files = capturing.write(options.output, capture.taken)
    records = counted(capture.records, "record")
    say(f"{counted(len(capture.taken), 'envelope')} with {records} of the category, and {files[-1]}")
    _tell(capture.masks)
    return OK


def _check(config: HubSettings, options: argparse.Namespace) -> None:
    """Raises SettingError."""
    if config.without:
        raise SettingError(f"no hub is configured: set {joined(config.without)} as in the function app")
    if options.exporters_group:
        return
    theirs = config.EVENT_HUB_CONSUMER_GROUP.lower()
    if not theirs:
        raise SettingError(
            "EVENT_HUB_CONSUMER_GROUP: set it as in the function app, so that the exporter's group is"
            " avoided; or add --exporters-group"
        )
    if options.group.lower() == theirs:
        raise SettingError(
            f"--group {options.group} is the exporter's group, which nothing else may use; create another one"
            " (az eventhubs eventhub consumer-group create); or add --exporters-group"
        )


def _tell(masks: Masks) -> None:
    """Prints what a person should review before sending the files."""
    say(paint("Review these unmasked values, and the files, before you send them:", YELLOW))
    values: dict[str, list[str]] = defaultdict(list)
    for (key, value), number in masks.kept.most_common():
        values[key].append(f"{printable(value, WIDTH)} ({number:,})")
    for key, kept in sorted(values.items()):
        more = f", and {len(kept) - SHOWN} more" if len(kept) > SHOWN else ""
        say(f"  {key}: {', '.join(kept[:SHOWN])}{more}")
    if masks.keys:
        say(f"  keys that are not documented: {', '.join(sorted(masks.keys))}")
    say("  short numbers, true, false, null, and times" + (" (shifted by days)" if masks.days else ""))


def _start(text: str) -> datetime | None:
    """Parses the starting time; None means now."""
    if text == "latest":
        return None
    at = 0 if text == "beginning" else moment(text)
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=min(at, now()))


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text!r}")
    return int(text)
