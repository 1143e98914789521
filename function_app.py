"""The Azure Functions entry points; the logic is in shared/."""

import _strptime  # type: ignore[import-not-found]
from typing import List

import azure.functions as func

from shared import deadline, settings, telemetry_export
from shared.azure import blob_storage
from shared.azure.event_hub import EventHub
from shared.clock import new_id, now
from shared.compaction.compactor import BUDGET as COMPACT_BUDGET
from shared.compaction.compactor import SECONDS as COMPACT_SECONDS
from shared.compaction.compactor import Compactor
from shared.connections import checkpoint_watch
from shared.connections.timer import BUDGET as FINISH_BUDGET
from shared.connections.timer import SECONDS as FINISH_SECONDS
from shared.connections.timer import Finisher
from shared.export import retry_context
from shared.export.exporter import SECONDS as EXPORT_SECONDS
from shared.export.exporter import Exporter
from shared.input import trigger
from shared.invocation import invocation
from shared.protocol.ownership import Ownership
from shared.timeunits import microseconds

FLUSH_SECONDS = 10
"""Minimum seconds between two sends of telemetry after export_logs; telemetry is also sent once a minute."""

# azure-functions 2.3.0 tries 13 formats for each event's time (meta.py, `_parse_datetime`), but Python
# caches only six compiled ones, so all are recompiled for each event: 75 µs, as much as 15 records take.
_strptime._CACHE_MAX_SIZE = 32  # noqa: SLF001 - there is no public name for it

config = settings.load()
telemetry_export.configure(config)
store = blob_storage.connect(
    config.state,
    config.output,
    config.STATE_CONTAINER,
    config.OUTPUT_CONTAINER,
    dead_letter_container=config.DEAD_LETTER_CONTAINER,
)
ownership = Ownership(store, store.state_name, now, new_id)
exporter = Exporter(
    store,
    config.export_policy,
    config.MEMORY_BUDGET,
    now,
    new_id,
    microseconds(config.WS_LOOKUP_STALENESS),
)
hub = EventHub(config.hub, config.EVENT_HUB_NAME, config.EVENT_HUB_CONSUMER_GROUP)
watch = checkpoint_watch.connect(store, config, now)
finisher = Finisher(store, hub, config.finish_policy, now, new_id, watch=watch)
compactor = Compactor(store, config.compaction_policy, now, new_id)
app = func.FunctionApp()


@app.event_hub_message_trigger(
    arg_name="events",
    connection="EventHubConnection",
    event_hub_name="%EVENT_HUB_NAME%",
    consumer_group="%EVENT_HUB_CONSUMER_GROUP%",
    cardinality="many",
    data_type="binary",
)
@app.retry(
    strategy="exponential_backoff",
    max_retry_count="-1",
    minimum_interval="00:00:02",
    maximum_interval="00:01:00",
)
def export_logs(events: List[func.EventHubEvent], context: func.Context) -> None:
    """Commits a batch. Returns once all its records are visible; if it raises, the batch is retried."""
    with invocation("export_logs", FLUSH_SECONDS), deadline.within(EXPORT_SECONDS):
        ownership.check("export_logs")
        if events:
            careful = retry_context.suspect(context.retry_context)
            (exporter.run_isolated if careful else exporter.run)(*trigger.read(events))


@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
def finish_connections(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the worker passes it by name
    """Writes finished connections, and publishes files left unpublished; the next run continues."""
    with invocation("finish_connections"), deadline.within(FINISH_SECONDS):
        ownership.check("finish_connections")
        finisher.run(FINISH_BUDGET)


@app.timer_trigger(arg_name="timer", schedule="30 */10 * * * *")
def compact_logs(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the worker passes it by name
    """Merges the small files of quiet hours; the next run continues."""
    with invocation("compact_logs"), deadline.within(COMPACT_SECONDS):
        ownership.check("compact_logs")
        compactor.run(COMPACT_BUDGET)
