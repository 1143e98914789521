"""Builds the log records and envelopes that tests send, in the form that Azure Monitor uses."""

from typing import Any

import numpy as np
import orjson

from shared.input.envelope import Envelope

RESOURCE = "/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.APIMANAGEMENT/SERVICE/A"


def record(at: int, id_: str, event: str = "ConnectionOpened", **more: Any) -> dict[str, Any]:
    """A valid record at this time (µs since 1970 UTC), with additional or different keys from `more`."""
    return {
        "time": f"{np.datetime64(at, 'us')}0Z",
        "category": "WebSocketConnectionLogs",
        "correlationId": id_,
        "properties": {"eventName": event},
    } | more


def body(*records: object) -> bytes:
    """The body of an envelope with these records."""
    return orjson.dumps({"records": records})


def envelope(sequence: int, enqueued: int, *records: object) -> Envelope:
    """An envelope that reached the hub at this time (µs since 1970 UTC)."""
    return Envelope(sequence, enqueued, body(*records))
