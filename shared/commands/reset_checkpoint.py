"""`reset-checkpoint`: deletes a checkpoint of the Functions host, or moves it past an event."""

import argparse
import re
from collections.abc import Mapping
from typing import Any

from shared import settings
from shared.audit.audit import OK, WRONG
from shared.commands import console
from shared.commands.console import RED, confirmed, paint, say
from shared.commands.declaration import command, partition_named
from shared.errors import HubError, SettingError
from shared.input.hub_partition import HubPartition
from shared.protocol.checkpoints import Checkpoint, Checkpoints
from shared.protocol.hub import HubReader, HubState
from shared.settings.command_line import HubSettings
from shared.wording import counted

MORE = """
Stop the function app first: the host reads a checkpoint only when it claims the partition, and otherwise
overwrites it. The command shows what it will do, and asks first. Nothing is exported twice, because
redelivered events are recognized by their sequence numbers. Events that --after skips become a gap;
`redeliver` exports them.
The command reads AzureWebJobsStorage (or AzureWebJobsStorage__blobServiceUri), EventHubConnection (or
EventHubConnection__fullyQualifiedNamespace), EVENT_HUB_NAME, EVENT_HUB_CONSUMER_GROUP and
EVENT_HUB_OPERATOR_CONSUMER_GROUP, as in the function app.
Exit status: 0 done, or all checkpoints belong to this hub; 1 a checkpoint needs action, 2 the command
failed.
"""


def declare(commands: Any) -> None:
    """Adds the command to the command line."""

    def run(options: argparse.Namespace) -> int:
        from shared.azure import checkpoints  # noqa: PLC0415 - commands that need no hub start faster without
        from shared.azure.event_hub import EventHub  # noqa: PLC0415

        if options.after is not None and options.partition is None:
            parser.error("--after needs a PARTITION")
        config = settings.load_as(HubSettings)
        store = checkpoints.connect(config.checkpoints, config.EVENT_HUB_CONSUMER_GROUP)
        missing = [
            *config.without,
            *([] if config.EVENT_HUB_CONSUMER_GROUP else ["EVENT_HUB_CONSUMER_GROUP"]),
        ]
        if store is None:
            missing.append("AzureWebJobsStorage (or AzureWebJobsStorage__blobServiceUri)")
        if store is None or missing:
            raise SettingError(f"Set {console.joined(missing)} as in the function app")
        hub = EventHub(config.hub, config.EVENT_HUB_NAME, config.EVENT_HUB_OPERATOR_CONSUMER_GROUP)
        return reset(store, hub, options.partition, options.after, yes=options.yes)

    parser = command(
        commands,
        "reset-checkpoint",
        run,
        "Deletes a checkpoint of the Functions host, or moves it past an event.",
        MORE,
        "  python -m shared reset-checkpoint\n"
        "  python -m shared reset-checkpoint my.servicebus.windows.net/apim-logs/0 --yes\n"
        "  python -m shared reset-checkpoint my.servicebus.windows.net/apim-logs/0 --after 4711 --yes",
    )
    parser.add_argument(
        "partition",
        nargs="?",
        help="namespace/hub/partition id, or the id alone; default: list all checkpoints",
    )
    parser.add_argument(
        "--after",
        type=_sequence,
        metavar="NUMBER",
        help="continue after the event with this sequence number (default: from the beginning)",
    )
    parser.add_argument("--yes", action="store_true", help="make the change without asking")


def _sequence(text: str) -> int:
    if not re.fullmatch(r"\d{1,19}", text):
        raise argparse.ArgumentTypeError(f"expected a sequence number, got {text!r}")
    return int(text)


def reset(store: Checkpoints, hub: HubReader, name: str | None, after: int | None, *, yes: bool) -> int:
    """Lists checkpoints, or explains what resetting one means, and resets it once confirmed.

    Raises HubError or PartitionUnknown.
    """
    state = hub.state()
    found = store.read(state.positions)
    if name is None:
        return _list(state, found)
    by_name = {str(one): one for one in state.positions}
    partition = by_name[partition_named(name, by_name)]
    before, position, event = found.get(partition), state.positions[partition], None
    say(_described(partition, before, state))
    if after is None:
        if before is None:
            say("There is nothing to delete.")
            return OK
        say(f"Without it, the host reads the partition from its beginning, sequence number {position.first}.")
    else:
        held = position.first <= after <= position.last and not position.empty
        event = next(iter(hub.fetch(partition, after, after)), None) if held else None
        if event is None:
            raise HubError(
                f"{partition} has no event {after}; choose one from {position.first} to {position.last}"
            )
        at = before.sequence if before and before.sequence is not None else position.first - 1
        skipped = max(0, after - at)
        say(f"The host will continue after sequence number {after}, and skip {counted(skipped, 'event')}.")
    if not confirmed("Stop the function app first.", yes=yes):
        return WRONG
    if event:
        store.write(partition, event.offset, event.envelope.sequence, before)
    elif before:
        store.delete(before)
    say(
        "Done. Start the function app"
        + ("." if after is None else ", and run `redeliver` once the timer has run.")
    )
    return OK


def _list(state: HubState, found: Mapping[HubPartition, Checkpoint]) -> int:
    stale = 0
    for partition in state.positions:
        checkpoint = found.get(partition)
        text = _described(partition, checkpoint, state)
        old = checkpoint is not None and checkpoint.stale(state.created)
        stale += old
        say(paint(text, RED) if old else text)
    return WRONG if stale else OK


def _described(partition: HubPartition, checkpoint: Checkpoint | None, state: HubState) -> str:
    if checkpoint is None:
        return f"{partition} has no checkpoint"
    at = f"sequence number {checkpoint.sequence}, written {console.time(checkpoint.modified)}"
    if checkpoint.stale(state.created):
        return f"{partition}: {at}: older than the hub, which was re-created {console.time(state.created)}"
    return f"{partition}: {at}"
