"""Validates records, and returns their rows or the reasons of their rejections."""

from itertools import pairwise
from typing import Any

import orjson

from shared.input.envelope import Envelope
from shared.input.rejections import Reason
from shared.input.validation import Validated, validate
from shared.policies import ExportPolicy
from shared.tables.table import Role
from shared.tables.websocket_connection_logs import RECORDS
from tests.records import PARTITION

POLICY = ExportPolicy()
ENQUEUED = 1893553800 * 1_000_000  # 2030-01-02T03:10:00Z
TIME = "2030-01-02T03:04:05.1234567Z"
RESOURCE = "/SUBSCRIPTIONS/S-1/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.APIMANAGEMENT/SERVICE/Ä"
LOG = {
    "time": TIME,
    "resourceId": RESOURCE,
    "category": "WebSocketConnectionLogs",
    "location": "West Europe",
    "correlationId": "c",
    "properties": {"eventName": "Opened", "source": "Client", "destination": "Gateway", "error": None},
}
ROW = {
    "Type": RECORDS.name,
    "TimeGenerated": TIME,
    "_ResourceId": RESOURCE.lower(),
    "_SubscriptionId": "s-1",
    "Region": "West Europe",
    "CorrelationId": "c",
    "EventName": "Opened",
    "Source": "Client",
    "Destination": "Gateway",
    "Error": None,
    "SourceSystem": "Azure",
}


def run(*bodies: bytes | list[Any] | dict[str, Any], policy: ExportPolicy = POLICY) -> Validated:
    envelopes = [
        Envelope(number, ENQUEUED + number, body if isinstance(body, bytes) else orjson.dumps(body))
        for number, body in enumerate(bodies)
    ]
    validated = validate(PARTITION, envelopes, policy)
    check(validated, envelopes)
    return validated


def check(validated: Validated, envelopes: list[Envelope]) -> None:
    """Checks what must hold for any result."""
    table = validated.table
    assert table.schema.equals(RECORDS.arrow, check_metadata=True)
    table.validate(full=True)
    for column in RECORDS.columns:
        assert not (column.required and table[column.name].null_count)
        assert column.role is not Role.DERIVED or table[column.name].null_count == table.num_rows
    rejected = sum(sum(one.counts.values()) for one in validated.rejected)
    assert validated.records == table.num_rows + rejected + validated.skipped
    places = list(zip(table["_SequenceNumber"].to_pylist(), table["_RecordIndex"].to_pylist(), strict=True))
    assert all(a < b for a, b in pairwise(places))
    assert [one.envelope for one in validated.rejected] == [
        envelope for envelope in envelopes if any(envelope is one.envelope for one in validated.rejected)
    ]
    for one in validated.rejected:
        assert one.rejections
        indexes = {index for first, last in one.indexes for index in range(first, last + 1)}
        assert sum(one.counts.values()) == (len(indexes) or 1)
        assert not indexes & {index for sequence, index in places if sequence == one.envelope.sequence}
        for each in one.rejections:
            assert (each.index in indexes) or (each.index is None and not indexes)
            assert (each.message + each.pointer).isascii()
            assert (each.message + each.pointer).isprintable()
            assert len(each.message) < 300


def rows(validated: Validated) -> list[dict[str, Any]]:
    """Returns rows without nulls and lineage."""
    inputs = [column.name for column in RECORDS.of(Role.INPUT)]
    return [
        {name: value for name, value in row.items() if value is not None}
        for row in validated.table.select(inputs).to_pylist()
    ]


def reasons(validated: Validated) -> list[tuple[int | None, Reason, str]]:
    return [(each.index, each.reason, each.pointer) for one in validated.rejected for each in one.rejections]
