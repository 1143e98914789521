"""The real worker library reads the requests of a real host, and the emulator sends the same ones."""

import itertools
import json
import os
import subprocess
import sys
from base64 import b64decode
from datetime import datetime
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.eventhub._pyamqp.message import Message, Properties

from local.emulators.functions_host.metadata import trigger_metadata
from local.emulators.functions_host.process import ROOT
from local.emulators.functions_host.retry import RetryPolicy

from .conftest import App
from .recordings import FOLDER


def captured(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


def read_by_the_library(app: App, name: str) -> None:
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.local.emulators.functions_host.read_captured",
            app.folder,
            FOLDER / f"{name}.json",
        ],
        cwd=ROOT,
        env=os.environ | app.settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr


def test_the_library_reads_a_captured_batch(app: App) -> None:
    app.switch("details")
    read_by_the_library(app, "invocation-events")
    request = captured("invocation-events")
    (call,) = app.notes("end")
    bodies = [b64decode(body["b64"]) for body in request["inputData"][0]["data"]["collectionBytes"]["bytes"]]
    assert call["bodies"] == [body.decode() for body in bodies]
    assert call["sequences"] == list(range(70))
    assert call["retry"] == [0, -1]
    assert call["invocation"] == [request["invocationId"], request["traceContext"]["traceParent"]]
    (details,) = app.notes("details")
    assert details["metadata"]["PartitionContext"]["PartitionId"] == call["partition"] == "0"
    assert details["metadata"]["PartitionKeyArray"] == []
    assert [offset for offset, *_ in details["events"]][:3] == [0, 218, 438]


def test_the_library_reads_a_captured_timer(app: App) -> None:
    app.settings |= {"HUB": "", "TIMER": "*/15 * * * * *", "HOST_NAME": "host"}
    read_by_the_library(app, "invocation-timer")
    (tick,) = app.notes("tick")
    assert (tick["past_due"], tick["status"]) == (False, {})


def event(sequence: int, offset: str, enqueued: str) -> EventData:
    """An event as the SDK gives it."""
    message = Message(
        data=[b""],
        properties=Properties(content_type=b"application/json"),
        application_properties={b"source": b"apim"},
        message_annotations={
            b"x-opt-sequence-number": sequence,
            b"x-opt-offset": offset.encode(),
            b"x-opt-enqueued-time": round(datetime.fromisoformat(f"{enqueued}+00:00").timestamp() * 1000),
        },
    )
    return EventData._from_message(message)


def test_the_stand_in_sends_the_captured_batch_byte_for_byte() -> None:
    request = captured("invocation-events")
    system = json.loads(request["triggerMetadata"]["SystemPropertiesArray"]["json"])
    events = [
        event(known["SequenceNumber"], known["OffsetString"], known["EnqueuedTimeUtc"]) for known in system
    ]
    ours = trigger_metadata("localhost", "apim-logs", "exporter", "0", events)
    names = {"collectionString": "collection_string", "collectionSint64": "collection_sint64", "json": "json"}
    assert list(ours) == list(request["triggerMetadata"])
    for name, theirs in request["triggerMetadata"].items():
        value = theirs[theirs["data"]]
        kind = names[theirs["data"]]
        if isinstance(value, dict):
            value = value.get(kind.removeprefix("collection_"), [])
        assert ours[name] == (kind, value), name


def test_an_offset_other_than_a_number_is_minus_one() -> None:
    replicated = event(7, "2:0:1234", "2026-11-27T22:12:12.464")
    metadata = trigger_metadata("localhost", "apim-logs", "exporter", "0", [replicated])
    (known,) = json.loads(metadata["SystemPropertiesArray"].value)  # type: ignore[arg-type]
    assert (known["Offset"], known["OffsetString"]) == (-1, "2:0:1234")


def test_retries_have_the_delays_of_the_real_host() -> None:
    times = [datetime.fromisoformat(attempt["at"]) for attempt in captured("retries")]
    policy = RetryPolicy(count=-1, minimum=2, maximum=60)
    for retry, (one, next_one) in enumerate(itertools.pairwise(times), 1):
        waited = (next_one - one).total_seconds()
        # Plus the duration of the attempt itself.
        assert policy.delay(retry, 0.8) <= waited <= policy.delay(retry, 1.2) + 0.3


@pytest.mark.parametrize("attempt", captured("retries")[1:], ids=lambda attempt: attempt["at"])
def test_a_retry_has_the_members_of_the_captured_one(attempt: dict[str, Any]) -> None:
    assert attempt["invocationId"] == captured("retries")[0]["invocationId"]
    assert attempt["traceContext"]["traceParent"] == captured("retries")[0]["traceContext"]["traceParent"]
    assert attempt["retryContext"]["exception"].keys() == {"message", "stackTrace", "source"}


def test_a_retry_has_the_previous_error(app: App) -> None:
    app.send(b"0")
    app.switch("fail")
    app.switch("details")
    with app.host(RETRY="-1", time_scale=0.05) as host:
        host.wait_for("invocation", 2, ok=False)
    first, second, *_ = app.notes("details")
    assert first["error"] == ["", ""]
    message, source = second["error"]
    theirs = captured("retries")[1]["retryContext"]["exception"]
    assert message.startswith(theirs["message"].partition("Functions.")[0])
    assert "Result: Failure\nException: " in message
    assert "told to fail" in message
    assert source == theirs["source"]
