"""Generates the envelopes to measure with: records like those of GatewayLogs, 560 bytes each."""

import random
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from shared.arrays import Array
from shared.connections.observations import UNKNOWN
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.protocol.ledger import Ledger
from shared.protocol.stamp import Stamp

NOW = 1_795_168_800_000_000
PARTITION = HubPartition("ns.servicebus.windows.net", "apim-logs", "3")
LEDGER = Ledger(ledger_id="l", partition=str(PARTITION))
STAMP = Stamp("ab" * 16, NOW)
RESOURCE = (
    "/SUBSCRIPTIONS/00000000-0000-4000-8000-000000000001/RESOURCEGROUPS/RG/PROVIDERS"
    "/MICROSOFT.APIMANAGEMENT/SERVICE/APIM"
)
BEGAN = datetime(2026, 11, 20, 9, 50, tzinfo=UTC)
EVENTS = ("ConnectionOpened", "MessageReceived", "MessageSent", "ConnectionClosed")

type Record = dict[str, Any]


class Nothing:
    """Knows no connection; see shared.connections.observations.StartTimeLookup."""

    def earliest(self, observations: pa.Table) -> tuple[Array, Array]:
        """See shared.connections.observations.StartTimeLookup."""
        return (np.full(observations.num_rows, UNKNOWN),) * 2


def records(number: int, began: datetime = BEGAN) -> Iterator[Record]:
    """Yields a number of records from ten minutes, four per connection; always the same ones."""
    rng = random.Random(1)
    for n in range(number):
        if n % len(EVENTS) == 0:
            identity = str(uuid.UUID(int=rng.getrandbits(128)))
        time = began + timedelta(milliseconds=600_000 * n // number, microseconds=rng.randrange(500))
        yield {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z",
            "resourceId": RESOURCE,
            "category": "WebSocketConnectionLogs",
            "operationName": "Microsoft.ApiManagement/WebSocketConnectionLogs",
            "Level": 4,
            "Sku": "Premium",
            "DeploymentVersion": "0.45.1234.0",
            "callerIpAddress": f"203.0.113.{rng.randrange(256)}",
            "truncated": 0,
            "location": "West Europe",
            "correlationId": identity,
            "properties": {
                "eventName": EVENTS[n % len(EVENTS)],
                "source": rng.choice(["Client", "Gateway"]),
                "destination": rng.choice(["Gateway", "Backend"]),
                "error": None,
            },
        }


def envelopes(
    number: int, each: int, change: Callable[[int, Record], Record] | None = None
) -> list[Envelope]:
    """Returns `number` envelopes with `each` records; `change` replaces the n-th record."""
    made = [change(n, one) if change else one for n, one in enumerate(records(number * each))]
    return [
        Envelope(n, NOW + n, orjson.dumps({"records": made[n * each : (n + 1) * each]}))
        for n in range(number)
    ]


def rejected(n: int, record: Record) -> Record:
    """Gives one record in a hundred an unreadable time."""
    return record | {"time": "yesterday"} if n % 100 == 0 else record


def foreign(n: int, record: Record) -> Record:
    """Turns nine records in ten into those of another category."""
    return record | {"category": "GatewayLogs"} if n % 10 else record


def gateway(n: int, record: Record) -> Record:
    """Turns nine records in ten into gateway records of other requests, with the keys of public samples."""
    if n % 10 == 0:
        return record
    return record | {
        "category": "GatewayLogs",
        "operationName": "Microsoft.ApiManagement/GatewayLogs",
        "correlationId": str(uuid.UUID(int=n * 0x9E3779B97F4A7C15 << 60 & (1 << 128) - 1)),
        "resultType": "Succeeded",
        "isRequestSuccess": True,
        "durationMs": n % 700,
        "properties": {
            "method": "GET",
            "url": f"https://contoso.example/orders/{n}?page={n % 7}",
            "backendMethod": "GET",
            "backendUrl": f"https://backend.example/orders/{n}",
            "backendResponseCode": 200,
            "backendProtocol": "HTTP/1.1",
            "responseCode": 200,
            "requestSize": 700 + n % 300,
            "responseSize": 1000 + n % 4000,
            "cache": "none",
            "backendTime": n % 690,
            "apiId": f"api-{n % 12}",
            "apiRevision": "1",
            "operationId": f"operation-{n % 40}",
            "productId": "unlimited",
            "apimSubscriptionId": f"subscription-{n % 90}",
            "clientProtocol": "HTTP/1.1",
            "clientTlsVersion": "1.2",
        },
    }
