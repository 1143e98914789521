"""`finish`: runs the work of the timer `finish_connections` once."""

import argparse
from typing import Any

from shared import settings
from shared.audit.audit import OK, WRONG
from shared.clock import new_id, now
from shared.commands.connection import connect
from shared.commands.console import RED, YELLOW, paint, say
from shared.commands.declaration import SETTINGS, command, seconds
from shared.connections import checkpoint_watch
from shared.connections.finish_summary import FinishSummary
from shared.connections.timer import BUDGET, Finisher
from shared.errors import SettingError
from shared.protocol.ownership import Ownership
from shared.settings.command_line import OperatorSettings
from shared.wording import counted

ROOM = 4
"""A step in progress may take this many times the budget for starting steps."""


def declare(commands: Any) -> None:
    """Adds the command to the command line."""

    def run(options: argparse.Namespace) -> int:
        return finish(settings.load_as(OperatorSettings), options.seconds)

    parser = command(
        commands,
        "finish",
        run,
        "Runs the work of the timer finish_connections once, for example if the timer has stopped.",
        "It writes rows of finished connections, and publishes files that exporters left unpublished. It\n"
        "is safe to run while the app and its timer run, because conditional writes decide.\n"
        "It needs EventHubConnection (or EventHubConnection__fullyQualifiedNamespace), EVENT_HUB_NAME, and\n"
        "the WS_… settings and OUTPUT_FORMATS of the function app if they differ from the defaults.\n"
        f"Exit status: 0 done, 1 more to do or a problem was found, 2 the command failed.\n{SETTINGS}",
        "  python -m shared finish\n  python -m shared finish --seconds 600",
    )
    parser.add_argument(
        "--seconds", type=seconds, default=BUDGET, help=f"start no step after this time (default {BUDGET:g})"
    )


def finish(config: OperatorSettings, budget: float) -> int:
    """Runs the timer's work and prints what it did."""
    from shared.azure.event_hub import EventHub  # noqa: PLC0415 - commands that need no hub start faster without

    if config.without:
        raise SettingError(f"To ask the hub for its progress, set {', '.join(config.without)}")
    store = connect(config)
    hub = EventHub(config.hub, config.EVENT_HUB_NAME, config.EVENT_HUB_OPERATOR_CONSUMER_GROUP)
    Ownership(store, "", now, new_id).check("finish_connections")
    watch = checkpoint_watch.connect(store, config, now)
    finisher = Finisher(store, hub, config.finish_policy, now, new_id, seconds=ROOM * budget, watch=watch)
    done = finisher.run(budget)
    _say(done)
    return OK if done.complete and done.lag and not done.alarms else WRONG


def _say(done: FinishSummary) -> None:
    observed = counted(done.observations, "connection")
    say(f"{counted(done.segments, 'commit')} merged, with records of {observed}")
    say(f"{counted(done.finished.total(), 'connection')} finished, {counted(done.revisions, 'row')} revised")
    say(f"{counted(done.open, 'connection')} open, {counted(done.repaired, 'ledger')} repaired")
    if not done.lag:
        say(paint("The hub did not answer, so connections of idle partitions have to wait", YELLOW))
    if not done.complete:
        say(paint("There is more to do: run the command again", YELLOW))
    for alarm in done.alarms:
        say(paint(alarm, RED))
