"""The functions that Azure runs. What they do is in shared/."""

import logging
import time
import uuid
from typing import List

import azure.functions as func

from shared import settings, storage, telemetry_export, trigger
from shared.export import Exporter

log = logging.getLogger("export_logs")

config = settings.load()
telemetry_export.configure(config)
exporter = Exporter(
    storage.connect(config.state, config.output, config.STATE_CONTAINER, config.OUTPUT_CONTAINER),
    config.rules,
    config.MEMORY_BUDGET,
    now=lambda: time.time_ns() // 1000,
    new_id=lambda: uuid.uuid4().hex,
)
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
def export_logs(events: List[func.EventHubEvent]) -> None:
    """Commits a batch; returns once every record of it is visible, or raises, and the batch comes again."""
    try:
        source, envelopes = trigger.read(events)
        exporter.run(source, envelopes)
    except Exception:
        raise
    except BaseException as error:
        # The worker does not catch these: the invocation would hang until its time-out.
        raise RuntimeError(f"{type(error).__name__}: {error}") from error
