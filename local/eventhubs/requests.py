"""Answers the requests of `$cbs` (tokens) and `$management` (what hubs and partitions there are).

The first as in "AMQP Claims-based Security 1.0", the second as in "AMQP Management 1.0"; the fields' names
are those that the SDK reads (`azure.eventhub._client_base`).
"""

from collections.abc import Callable, Mapping

from .amqp_types import Array, Int, Long, Symbol, Timestamp
from .errors import NOT_ALLOWED, NOT_FOUND, UNAUTHORIZED_ACCESS, AmqpError
from .hubs import Hub
from .messages import Request, encode_response
from .tokens import Key, authorized_path

_SAS_TYPE = "servicebus.windows.net:sastoken"
_STATUS = {NOT_FOUND: 404, UNAUTHORIZED_ACCESS: 401}
_BAD_REQUEST = 400


def put_token(request: Request, key: Key | None, authorize: Callable[[str], None]) -> bytes:
    """The answer to a token; what a good one is for is handed to `authorize`. Without a key all are good."""
    try:
        _accept_token(request, key, authorize)
    except AmqpError as error:
        return _refusal(request, error)
    return _answer(request, 202, "Accepted", None)


def read(request: Request, hubs: Mapping[str, Hub], check: Callable[[str], None]) -> bytes:
    """The answer to a question about a hub or a partition; `check` may refuse the hub."""
    try:
        description = _describe(request.properties, hubs, check)
    except AmqpError as error:
        return _refusal(request, error)
    return _answer(request, 200, "OK", description)


def _accept_token(request: Request, key: Key | None, authorize: Callable[[str], None]) -> None:
    operation, kind = request.properties.get("operation"), request.properties.get("type")
    if operation != "put-token":
        raise AmqpError(NOT_ALLOWED, f"The operation is put-token, not {operation!r}.")
    if key is None:
        return
    if kind != _SAS_TYPE:
        raise AmqpError(UNAUTHORIZED_ACCESS, f"The token is of type {_SAS_TYPE}, not {kind!r}.")
    authorize(authorized_path(str(request.value), key))


def _describe(
    asked: dict[object, object], hubs: Mapping[str, Hub], check: Callable[[str], None]
) -> dict[object, object]:
    name = str(asked.get("name"))
    check(name.lower())
    hub = hubs.get(name.lower())
    if hub is None:
        raise AmqpError(NOT_FOUND, f"There is no hub {name!r}.")
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
