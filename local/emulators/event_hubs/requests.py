"""Answers requests to `$cbs` (tokens) and to `$management` (properties of hubs and partitions).

`$cbs` follows "AMQP Claims-based Security 1.0", `$management` follows "AMQP Management 1.0". The names of
the fields are those that the SDK reads (`azure.eventhub._client_base`).
"""

from collections.abc import Mapping

from .amqp_types import Array, Int, Long, Symbol, Timestamp
from .errors import NOT_ALLOWED, NOT_FOUND, UNAUTHORIZED_ACCESS, AmqpError, no_entity
from .hubs import Hub
from .messages import Request, encode_response
from .tokens import Grants

_SAS_TYPE = "servicebus.windows.net:sastoken"
_STATUS = {NOT_FOUND: 404, UNAUTHORIZED_ACCESS: 401}
_BAD_REQUEST = 400


def put_token(request: Request, grants: Grants) -> bytes:
    """Answers a request that contains a token; a valid token extends the grants."""
    try:
        _accept_token(request, grants)
    except AmqpError as error:
        return _refusal(request, error)
    return _answer(request, 202, "Accepted", None)


def read(request: Request, hubs: Mapping[str, Hub], grants: Grants) -> bytes:
    """Answers a request for the properties of a hub or a partition.

    .NET clients put their token into the request itself; the Python SDK sends it to `$cbs` first.
    """
    try:
        description = _describe(request.properties, hubs, grants)
    except AmqpError as error:
        return _refusal(request, error)
    return _answer(request, 200, "OK", description)


def _accept_token(request: Request, grants: Grants) -> None:
    operation, kind = request.properties.get("operation"), request.properties.get("type")
    if operation != "put-token":
        raise AmqpError(NOT_ALLOWED, f"The operation must be put-token; got {operation!r}.")
    if grants.takes_any_token:
        return
    if kind != _SAS_TYPE:
        raise AmqpError(UNAUTHORIZED_ACCESS, f"The token must be of type {_SAS_TYPE}; got {kind!r}.")
    grants.add(str(request.value))


def _describe(asked: dict[object, object], hubs: Mapping[str, Hub], grants: Grants) -> dict[object, object]:
    name, token = str(asked.get("name")), asked.get("security_token")
    grants.check(name.lower(), None if token is None else str(token))
    hub = hubs.get(name.lower())
    if hub is None:
        raise no_entity(name)
    match asked.get("operation"), asked.get("type"):
        case "READ", "com.microsoft:eventhub":
            return _describe_hub(hub)
        case "READ", "com.microsoft:partition":
            return _describe_partition(hub, str(asked.get("partition")))
        case operation, kind:
            raise AmqpError(NOT_ALLOWED, f"The operation {operation!r} of {kind!r} is not supported.")


def _describe_hub(hub: Hub) -> dict[object, object]:
    return {
        "name": hub.name,
        "type": "com.microsoft:eventhub",
        "created_at": Timestamp(hub.created_at_ms),
        "partition_count": Int(len(hub.partitions)),
        "partition_ids": Array(map(str, range(len(hub.partitions)))),
    }


def _describe_partition(hub: Hub, partition_id: str) -> dict[object, object]:
    status = hub.partition(partition_id).status()
    return {
        "name": hub.name,
        "type": "com.microsoft:partition",
        "partition": partition_id,
        "begin_sequence_number": Long(status.begin_sequence_number),
        "last_enqueued_sequence_number": Long(status.last_sequence_number),
        "last_enqueued_offset": status.last_offset,
        "last_enqueued_time_utc": Timestamp(status.last_enqueued_ms),
        "is_partition_empty": status.is_empty,
    }


def _answer(request: Request, status: int, description: str, value: object) -> bytes:
    properties: dict[object, object] = {"status-code": Int(status), "status-description": description}
    return encode_response(request, properties, value)


def _refusal(request: Request, error: AmqpError) -> bytes:
    properties: dict[object, object] = {
        "status-code": Int(_STATUS.get(error.condition, _BAD_REQUEST)),
        "status-description": error.description,
        "error-condition": Symbol(error.condition),
    }
    return encode_response(request, properties, None)
