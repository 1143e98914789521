"""`status`: says whether all is well, then shows partitions, connections, services and event names."""

import argparse
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shared import settings
from shared.clock import now
from shared.commands import console, status_json, status_query, status_text
from shared.commands.connection import connect
from shared.commands.console import say, say_json
from shared.commands.declaration import SETTINGS, command, seconds
from shared.commands.status_model import Status
from shared.errors import DamagedFile, HubError, StorageError
from shared.matching.sample import Sample, samples
from shared.protocol.storage import Storage
from shared.settings.command_line import OperatorSettings
from shared.timeunits import HOUR

if TYPE_CHECKING:  # avoids importing the hub's library, which is slow
    from shared.protocol.hub import HubState

MORE = f"""
Exit status: 0 all is well, 1 something needs attention, 2 unknown.
{SETTINGS}
To show the lag, it needs EventHubConnection (a connection string) or
EventHubConnection__fullyQualifiedNamespace (with your own sign-in or a managed identity), and
EVENT_HUB_NAME. To show the hours until the hub deletes waiting events, it needs EVENT_HUB_RETENTION. To find
checkpoints of a hub that was deleted and re-created, it needs AzureWebJobsStorage (or
AzureWebJobsStorage__blobServiceUri) and EVENT_HUB_CONSUMER_GROUP. WS_OPENING_EVENTS and WS_CLOSING_EVENTS
determine which event names count as opening or closing.
"""
GROUP = "$Default"
"""Any consumer group works for querying a hub's progress, because no events are read."""


def declare(commands: Any) -> None:
    """Adds the command to the command line."""

    def run(options: argparse.Namespace) -> int:
        config = settings.load_as(OperatorSettings)
        store = connect(config, dead_letters=False)
        if options.watch is None:
            return status(store, config, now(), as_json=options.json)
        known = Matches()
        while True:
            known = known if now() - known.at < HOUR else matches(store, now())
            found = with_matches(look(store, config, now()), known)
            console.redraw([*status_text.lines(found, _retention(config), now())])
            time.sleep(options.watch)

    parser = command(
        commands,
        "status",
        run,
        "Says whether all is well, and shows each partition. Read-only.",
        MORE,
        "  python -m shared status\n  python -m shared status --json\n  python -m shared status --watch 30",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON; times in µs since 1970 UTC")
    form.add_argument(
        "--watch",
        nargs="?",
        type=seconds,
        const=10,
        metavar="SECONDS",
        help="repeat every SECONDS (default: 10)",
    )


def status(storage: Storage, config: OperatorSettings, now: int, *, as_json: bool) -> int:
    """Prints the status once, and returns the exit status."""
    found = with_matches(look(storage, config, now), matches(storage, now))
    if as_json:
        say_json(status_json.document(found, _retention(config), now))
    else:
        say("\n".join(status_text.lines(found, _retention(config), now)))
    return found.verdict[0]


@dataclass(frozen=True, slots=True)
class Matches:
    """How many connections have a matching request, and when they were counted."""

    at: int = 0
    """When they were counted, µs since 1970 UTC."""
    samples: tuple[Sample, ...] = ()
    unknown: tuple[str, ...] = ()
    """Reasons why the number is unknown; empty if it is known."""


def matches(storage: Storage, now: int) -> Matches:
    """Takes samples of the views that join tables."""
    try:
        return Matches(now, tuple(samples(storage, now)))
    except (StorageError, DamagedFile) as error:
        return Matches(now, unknown=(f"How many connections have a request is unknown: {error}",))


def with_matches(found: Status, known: Matches) -> Status:
    """Returns the status with these samples."""
    return replace(found, matches=list(known.samples), unknown=(*found.unknown, *known.unknown))


def look(storage: Storage, config: OperatorSettings, now: int) -> Status:
    """Returns the status from storage and, if the settings name them, the hub and the host's checkpoints."""
    from shared.azure import checkpoints  # noqa: PLC0415 - commands that need no hub start faster without
    from shared.azure.event_hub import EventHub  # noqa: PLC0415

    policy, group = config.finish_policy, config.EVENT_HUB_CONSUMER_GROUP

    def without(unknown: str, state: "HubState | None" = None, *, failed: bool = False) -> Status:
        return replace(status_query.status(storage, policy, state, now), unknown=(unknown,), failed=failed)

    if config.without:
        return without(
            f"Lag is unknown: to query the hub, set {console.joined(config.without)} as in the function app."
        )
    try:
        state = EventHub(config.hub, config.EVENT_HUB_NAME, group or GROUP).state()
    except HubError as error:
        return without(f"Lag is unknown: {error}", failed=True)
    host = checkpoints.connect(config.checkpoints, group) if group else None
    if host is None:
        return without(
            "Checkpoints are unknown: set AzureWebJobsStorage (or AzureWebJobsStorage__blobServiceUri) and"
            " EVENT_HUB_CONSUMER_GROUP as in the function app.",
            state,
        )
    try:
        return status_query.status(storage, policy, state, now, host.read(state.positions))
    except StorageError as error:
        return without(f"Checkpoints are unknown: {error}", state, failed=True)


def _retention(config: OperatorSettings) -> float:
    return config.EVENT_HUB_RETENTION.total_seconds()
