"""Builds the log records and envelopes that tests send, in the form that Azure Monitor uses."""

from typing import Any

import numpy as np
import orjson

from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.timeunits import HOUR, SECOND

RESOURCE = "/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.APIMANAGEMENT/SERVICE/A"
PARTITION = HubPartition("space.servicebus.windows.net", "logs", "0")
ONE, TWO = (HubPartition("ns", "hub", number) for number in "01")
EPOCH = 1_900_000_000 * SECOND
"""When the time of most tests begins: 2030-03-17 17:46:40 UTC."""
LATER = EPOCH + 6 * HOUR
TEN = 1_795_168_800 * SECOND
"""2026-11-20 10:00:00 UTC, when the hostile bodies arrive."""


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
