"""Builds records: valid ones, those of other categories, and invalid ones with the expected reason."""

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

type Json = bool | int | float | str | list[Json] | Mapping[str, Json] | None
type Record = dict[str, Json]

CATEGORY = "WebSocketConnectionLogs"
GATEWAY, LANGUAGE = "GatewayLogs", "GatewayLlmLogs"
TABLE = "ApiManagementWebSocketConnectionLogs"


class Facts(NamedTuple):
    """The content of a record, regardless of its form."""

    time: str
    resource: str
    correlation: str
    event: str
    backend_leg: bool
    error: bool


def _properties(facts: Facts) -> Record:
    return {
        "eventName": facts.event,
        "source": "Gateway" if facts.backend_leg else "Client",
        "destination": "Backend" if facts.backend_leg else "Gateway",
        "error": "synthetic: connection reset by peer" if facts.error else None,
    }


def standard(facts: Facts) -> Record:
    """Builds a record by analogy with the documented gateway log."""
    return {
        "time": facts.time,
        "resourceId": facts.resource,
        "category": CATEGORY,
        "operationName": "Microsoft.ApiManagement/WebSocketConnectionLogs",
        "location": "West Europe",
        "correlationId": facts.correlation,
        "properties": _properties(facts),
    }


def _properties_as_text(facts: Facts) -> Record:
    return standard(facts) | {"properties": json.dumps(_properties(facts))}


def _top_level(facts: Facts) -> Record:
    record = standard(facts) | _properties(facts)
    del record["properties"]
    return record


def _other_letter_case(facts: Facts) -> Record:
    record: Record = {key.upper(): value for key, value in standard(facts).items()}
    return record | {"PROPERTIES": {key.lower(): value for key, value in _properties(facts).items()}}


def _table_columns(facts: Facts) -> Record:
    return {
        "TimeGenerated": facts.time,
        "CorrelationId": facts.correlation,
        **{key[0].upper() + key[1:]: value for key, value in _properties(facts).items()},
        "Region": "West Europe",
        "SourceSystem": "Azure",
        "TenantId": "00000000-1111-4222-8333-555555555555",
        "Type": TABLE,
        "_ResourceId": facts.resource.lower(),
        "_BilledSize": 512.0,
        "_IsBillable": "true",
    }


def _extra_keys(facts: Facts) -> Record:
    return standard(facts) | {
        "Sku": "Premium",
        "Level": 4,
        "truncated": 0,
        "tags": {"a": [1, None, {"b": True}]},
    }


def _lower_resource(facts: Facts) -> Record:
    return standard(facts) | {"resourceId": facts.resource.lower()}


def _non_ascii(facts: Facts) -> Record:
    text: Record = {"source": "客户端", "destination": "Шлюз"}
    if facts.error:
        text["error"] = "naïve 🚪 — réinitialisée"
    return standard(facts) | {"location": "Österreich", "properties": _properties(facts) | text}


FORMS: dict[str, Callable[[Facts], Record]] = {
    "standard": standard,
    "properties_as_text": _properties_as_text,
    "top_level": _top_level,
    "other_letter_case": _other_letter_case,
    "table_columns": _table_columns,
    "extra_keys": _extra_keys,
    "lower_case_resource": _lower_resource,
    "non_ascii": _non_ascii,
}


APIS = (("chat", "connect"), ("prices", "subscribe"), ("orders", "track"))
"""API and operation, one for each request."""


def unrelated(correlation: str) -> str:
    """Returns the id of a request that belongs to no connection: the reversed id of a connection."""
    return correlation[::-1]


def _request(facts: Facts, *, upgrade: bool) -> Record:
    api, operation = APIS[sum(map(ord, facts.correlation)) % len(APIS)]
    code = 500 if facts.error else 101 if upgrade else 200
    return {
        "method": "GET",
        "url": f"https://synthetic.example/{api}/{operation}",
        "backendResponseCode": code,
        "responseCode": code,
        "requestSize": 812,
        "responseSize": 1113,
        "cache": "none",
        "backendTime": 11,
        "clientProtocol": "HTTP/1.1",
        "clientTlsVersion": "1.2",
        "apiId": api,
        "apiRevision": "1",
        "operationId": operation,
        "apimSubscriptionId": "synthetic",
        "backendId": f"{api}-backend",
    }


def _of_category(category: str, facts: Facts, properties: Json) -> Record:
    return standard(facts) | {
        "category": category,
        "operationName": f"Microsoft.ApiManagement/{category}",
        "properties": properties,
    }


def _connection_request(facts: Facts) -> Record:
    return _of_category(GATEWAY, facts, _request(facts, upgrade=True)) | {
        "callerIpAddress": "192.0.2.7",
        "durationMs": 12,
        "isRequestSuccess": not facts.error,
    }


def _other_request(facts: Facts) -> Record:
    return _of_category(GATEWAY, facts, _request(facts, upgrade=False)) | {
        "callerIpAddress": "198.51.100.23",
        "durationMs": 12,
        "isRequestSuccess": not facts.error,
        "correlationId": unrelated(facts.correlation),
    }


def _gateway_table(facts: Facts) -> Record:
    return _table_columns(facts) | {"Type": "ApiManagementGatewayLogs", "ResponseCode": 101}


def _language_model(facts: Facts) -> Record:
    properties: Record = {
        "modelName": "synthetic-model",
        "deploymentName": "chat",
        "isStreamCompletion": False,
        "promptTokens": 26,
        "completionTokens": 5,
        "totalTokens": 31,
        "requestMessages": [{"role": "user", "content": "hello"}],
    }
    return _of_category(LANGUAGE, facts, properties) | {"correlationId": unrelated(facts.correlation)}


def _audit_log(facts: Facts) -> Record:
    return _of_category("DeveloperPortalAuditLogs", facts, None)


class Foreign(NamedTuple):
    """A kind of record that does not belong to the WebSocket category."""

    category: str
    make: Callable[[Facts], Record]
    of_connection: bool = False
    """Whether it describes the request that began a connection; otherwise its id belongs to no connection."""


FOREIGN: dict[str, Foreign] = {
    "connection_request": Foreign(GATEWAY, _connection_request, of_connection=True),
    "other_request": Foreign(GATEWAY, _other_request),
    "gateway_table": Foreign(GATEWAY, _gateway_table, of_connection=True),
    "language_model": Foreign(LANGUAGE, _language_model),
    "audit_log": Foreign("DeveloperPortalAuditLogs", _audit_log),
}


def _without(key: str) -> Callable[[Facts], Json]:
    return lambda facts: {k: value for k, value in standard(facts).items() if k != key}


def _with(key: str, value: Json) -> Callable[[Facts], Json]:
    return lambda facts: standard(facts) | {key: value}


NOT_AN_OBJECT = "record_not_an_object"
BAD: tuple[tuple[str, Callable[[Facts], Json]], ...] = (
    (NOT_AN_OBJECT, lambda _: "text"),
    (NOT_AN_OBJECT, lambda _: None),
    ("missing_required_field", _without("correlationId")),
    ("missing_required_field", _with("correlationId", "")),
    ("missing_required_field", _with("correlationId", None)),
    ("missing_required_field", _without("time")),
    ("wrong_type", _with("correlationId", {"a": 1})),
    ("unparseable_time", _with("time", "yesterday")),
    ("unparseable_time", _with("time", "2030-02-30T00:00:00.0000000Z")),
    # Facts.time is set to a time 8 days old, or 2 hours ahead.
    ("implausible_time", standard),
    ("implausible_time", standard),
)
TOO_OLD, TOO_NEW = len(BAD) - 2, len(BAD) - 1
