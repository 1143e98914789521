"""A status with long names and large numbers."""

from typing import Any

from shared.commands import status_text
from shared.commands.status_document import NameStatus, SwapStatus
from shared.commands.status_model import PartitionState, Status
from shared.connections.manifest import Manifest, Part, Totals
from shared.connections.service_activity import ServiceActivity
from shared.lag import Lag
from shared.matching.sample import Sample
from shared.protocol.incarnation import Incarnation
from shared.protocol.ledger import Counts, Ledger
from shared.timeunits import DAY, HOUR, MINUTE, SECOND

NOW = 500_000 * HOUR
HUB = "a-namespace-with-the-longest-name-that-there-may-be.servicebus.windows.net/insights-logs-websocket"
SERVICE = "/subscriptions/11111111-1111-1111-1111-111111111111/resourcegroups/{}/providers/m.apim/service/{}"


def partition_state(partition: str, lag: Lag | None = None, **counts: Any) -> PartitionState:
    life = Incarnation(next=98_765_432_101, newest=NOW)
    ledger = Ledger(
        ledger_id="a",
        partition=partition,
        incarnation=life,
        counts=Counts(**counts),
        committed_at=NOW - MINUTE,
    )
    return PartitionState(partition, ledger, lag)


BUSY = partition_state(
    f"{HUB}/31", Lag(12_345_678, 86_400, 987_654_321), records=98_765_432_101, rows=98_765_432_101
)
QUIET = partition_state(f"{HUB}/0", Lag(0, 0))
MANIFEST = Manifest(
    parts=(Part(name="a", low="", rows=5, open=2, due=0),),
    totals=Totals(connections=7_000_000, revisions=1, indeterminate=6_000_000, arrival_seconds=660),
    services={
        SERVICE.format("rg-one", "apim"): ServiceActivity(newest=NOW - 2 * DAY, hours={}),
        SERVICE.format("rg-two", "apim"): ServiceActivity(newest=NOW - SECOND, hours={500_000: 4321}),
        SERVICE.format("rg-two", "other"): ServiceActivity(newest=NOW, hours={499_990: 1}),
    },
)
FULL = Status(
    partitions=[BUSY, QUIET],
    names=[
        NameStatus(
            name="WebSocketConnection" * 5,
            connections=1234567,
            first=1234567,
            last=0,
            newest=NOW,
            counts_as="opening and closing",
        )
    ],
    manifest=MANIFEST,
    matches=[Sample("View", "ApiManagementGatewayLogs", NOW, 1000, 0)],
    swap=SwapStatus(
        folder="parquet/Table/date=2026-11-20/hour=09/",
        output="a",
        since=NOW,
        inputs=5,
        visible=True,
        left=["b" * 70],
        waits_for=f"1 of 5 files are still to be deleted, such as {'b' * 70}",
    ),
    alarms=["its ledger is not the one that was seen before, or it is older: see accept-ledger"],
    unknown=("Lag is unknown, because the hub has not answered in so many words that they need two lines",),
)


def shown(found: Status, retention: float = 7 * 86_400) -> str:
    return "\n".join(status_text.lines(found, retention, NOW))
