"""`redeliver`: exports events that the hub still has but the output lacks."""

import argparse
from typing import Any

from shared import settings
from shared.audit.audit import OK, UNKNOWN, WRONG
from shared.clock import new_id, now
from shared.commands import console, missing_events
from shared.commands.connection import connect
from shared.commands.console import RED, YELLOW, say, say_json, wrapped
from shared.commands.declaration import SETTINGS, command, partition_named
from shared.commands.documents import RedeliverDocument, RedeliverPartition
from shared.errors import SettingError
from shared.export.exporter import Exporter
from shared.policies import ExportPolicy
from shared.protocol.hub import HubReader
from shared.protocol.ownership import Ownership
from shared.protocol.stamp import Clock, NewId
from shared.protocol.storage import Storage
from shared.settings.command_line import OperatorSettings
from shared.wording import counted


def declare(commands: Any) -> None:
    """Adds the command to the command line."""

    def run(options: argparse.Namespace) -> int:
        from shared.azure.event_hub import EventHub  # noqa: PLC0415 - commands that need no hub start faster without

        config = settings.load_as(OperatorSettings)
        if config.without:
            raise SettingError(
                f"To read the hub, set {console.joined(config.without)} as in the function app"
            )
        hub = EventHub(config.hub, config.EVENT_HUB_NAME, config.EVENT_HUB_OPERATOR_CONSUMER_GROUP)
        store = connect(config)
        return redeliver(
            store,
            hub,
            config.export_policy,
            config.MEMORY_BUDGET,
            options.partition,
            dry_run=options.dry_run,
            missing_files=options.missing_files,
            as_json=options.json,
            now=now,
            new_id=new_id,
        )

    parser = command(
        commands,
        "redeliver",
        run,
        "Exports events that the hub still has but the output lacks, exactly once.",
        "It reads the sequence numbers that the ledgers list as gaps or lost, in a separate consumer group\n"
        "(EVENT_HUB_OPERATOR_CONSUMER_GROUP), and exports them like the app, which keeps running.\n"
        "If a ledger was restored, events that the output already has are recorded in it as committed.\n"
        "Running it again changes nothing. The command writes to the containers, so try --dry-run first.\n"
        "It needs EventHubConnection (or EventHubConnection__fullyQualifiedNamespace) and EVENT_HUB_NAME.\n"
        "Exit status: 0 no event that the hub has is missing, 1 some could not be exported, 2 the command\n"
        f"failed.\n{SETTINGS}",
        "  python -m shared redeliver --dry-run\n"
        "  python -m shared redeliver\n"
        "  python -m shared redeliver my.servicebus.windows.net/apim-logs/0",
    )
    parser.add_argument(
        "partition",
        nargs="?",
        help="namespace/hub/partition id, or the id alone; default: all partitions of the hub",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="report what could be exported, and export nothing"
    )
    parser.add_argument(
        "--missing-files",
        action="store_true",
        help="also export the events of files that are missing in the output, regardless of who deleted them",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def redeliver(
    storage: Storage,
    hub: HubReader,
    policy: ExportPolicy,
    memory: int,
    partition: str | None,
    *,
    dry_run: bool,
    missing_files: bool = False,
    as_json: bool,
    now: Clock,
    new_id: NewId,
) -> int:
    """Fills gaps from the hub and prints the outcome for each partition. Raises PartitionUnknown."""
    if not dry_run:
        Ownership(storage, "", now, new_id).check("export_logs")
    exporter = Exporter(storage, policy, memory, now, new_id)
    wanted = partition and partition_named(partition, map(str, hub.state().positions))
    done = missing_events.redeliver(
        storage,
        hub,
        exporter,
        lambda one: wanted in {None, one},
        dry_run=dry_run,
        missing_files=missing_files,
        progress=console.progress,
    )
    console.progressed()
    if as_json:
        say_json(RedeliverDocument(dry_run=dry_run, partitions=done))
    else:
        for one in done:
            _say(one, dry_run=dry_run)
        if not done:
            say(f"no events of {wanted or 'the hub'} have been committed yet")
    if not done:
        return UNKNOWN if partition else OK
    return WRONG if any(one.problems or one.partial for one in done) else OK


def _say(one: RedeliverPartition, *, dry_run: bool) -> None:
    did = "can be exported" if dry_run else "read again"
    say(f"{one.partition}:")
    text = f"{counted(one.missing, 'missing event')}: {one.events:,} {did}, {one.gone:,} gone from the hub"
    _indented(text)
    if one.commits:
        rejected = counted(sum(one.rejected.values()), "rejection")
        _indented(f"{counted(one.rows, 'row')} and {rejected} in {counted(one.commits, 'commit')}")
    if one.without_files:
        _indented(f"{counted(one.without_files, 'committed event')} in commits that lack files")
    if one.present:
        recorded = "can be recorded" if dry_run else "recorded"
        text = f"in the output through commits that the ledger lacks, {recorded} as committed"
        _indented(f"{one.present:,} {text}: was it restored? Run `audit`", YELLOW)
    if one.partial:
        text = "partly in the output, through commits that the ledger lacks: add --missing-files"
        _indented(f"{one.partial:,} {text}", RED)
    for problem in one.problems:
        _indented(problem, RED)


def _indented(text: str, color: str = "") -> None:
    for line in wrapped(text, color, indent="  "):
        say(line)
