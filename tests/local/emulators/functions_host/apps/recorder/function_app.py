# ruff: noqa: INP001 (an app folder is not a package)
"""Records every invocation, and obeys the files in the folder SWITCHES: hold, fail, exit."""

import json
import os
import time
import typing
from pathlib import Path

import azure.functions as func

SWITCHES = Path(os.environ["SWITCHES"])
RECORD = Path(os.environ["RECORD"])

app = func.FunctionApp()


def note(what: str, **fields: object) -> None:
    line = json.dumps({"what": what, "pid": os.getpid(), "time": time.time()} | fields) + "\n"
    with RECORD.open("a") as record:
        record.write(line)


def obey(partition: str = "") -> None:
    while (SWITCHES / "hold").exists() or (SWITCHES / f"hold-{partition}").exists():
        time.sleep(0.02)
    if (SWITCHES / "exit").exists():
        raise SystemExit
    if (SWITCHES / "fail").exists() or (SWITCHES / f"fail-{os.environ.get('HOST_NAME')}").exists():
        raise ValueError("told to fail")


if os.environ.get("HUB"):

    @app.event_hub_message_trigger(
        arg_name="events",
        event_hub_name="%HUB%",
        connection="EventHubConnection",
        consumer_group="$Default",
        cardinality="many",
        data_type="binary",
    )
    def record(events: typing.List[func.EventHubEvent], context: func.Context) -> None:
        metadata = events[0].metadata or {}
        call = {
            "partition": metadata["PartitionContext"]["PartitionId"],
            "sequences": [event.sequence_number for event in events],
            "bodies": [event.get_body().decode("latin-1") for event in events],
            "retry": [context.retry_context.retry_count, context.retry_context.max_retry_count],
            "host": os.environ.get("HOST_NAME"),
            "invocation": [context.invocation_id, context.trace_context.trace_parent],
        }
        note("begin", **call)
        if (SWITCHES / "details").exists():
            error = context.retry_context.rpc_exception  # type: ignore[attr-defined]
            note(
                "details",
                metadata=metadata,
                error=[error.message, error.source],
                events=[[event.offset, event.partition_key, repr(event.enqueued_time)] for event in events],
            )
        obey(metadata["PartitionContext"]["PartitionId"])
        note("end", **call)

    retry = os.environ.get("RETRY", "")
    if retry == "exponential":
        app.retry(
            strategy="exponential_backoff",
            max_retry_count="-1",
            minimum_interval="00:00:02",
            maximum_interval="00:01:00",
        )(record)
    elif retry:
        app.retry(strategy="fixed_delay", max_retry_count=retry, delay_interval="00:00:01")(record)


if os.environ.get("TIMER"):

    @app.timer_trigger(
        arg_name="timer", schedule="%TIMER%", run_on_startup=bool(os.environ.get("ON_STARTUP"))
    )
    def tick(timer: func.TimerRequest) -> None:
        # The worker needs the abstract class as annotation, which lacks the attribute.
        status = timer.schedule_status  # type: ignore[attr-defined]
        note("tick", host=os.environ["HOST_NAME"], status=status, past_due=timer.past_due)
        obey()
