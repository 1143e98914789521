"""Finds what a link leads to: a hub, a partition, or a node that answers requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import addresses, positions, requests
from .amqp_types import Described
from .errors import NOT_ALLOWED, AmqpError
from .frames import typed
from .links import EventSender, Receiver, ResponseSender
from .messages import BATCH_FORMAT, parse_batch, parse_event, parse_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from .connection import Connection
    from .frames import Frame
    from .session import Session

    type Link = Receiver | ResponseSender | EventSender

_EPOCH = "com.microsoft:epoch"
_METRICS = "com.microsoft:enable-receiver-runtime-metric"
_SOURCE, _TARGET, _DESIRED_CAPABILITIES, _PROPERTIES = 5, 6, 12, 13


def open_receiver(session: Session, connection: Connection, frame: Frame) -> Receiver:
    """The broker's end of a link on which the peer sends."""
    address = addresses.parse(_address(_terminus(frame, _TARGET)))
    broker = connection.broker

    def put_token(_: int, message: bytes) -> None:
        response = requests.put_token(parse_request(message), broker.key, connection.authorize)
        session.respond(addresses.CBS, response)

    def read(_: int, message: bytes) -> None:
        response = requests.read(parse_request(message), broker.hubs, connection.check)
        session.respond(addresses.MANAGEMENT, response)

    if address.path == addresses.CBS:
        return Receiver(session, frame, put_token)
    if address.path == addresses.MANAGEMENT:
        return Receiver(session, frame, read)
    connection.check(address.path)
    return Receiver(session, frame, _store(connection, address))


def open_sender(session: Session, connection: Connection, frame: Frame) -> ResponseSender | EventSender:
    """The broker's end of a link on which the peer receives."""
    source = _terminus(frame, _SOURCE)
    address = addresses.parse(_address(source))
    if address.path in {addresses.CBS, addresses.MANAGEMENT}:
        return ResponseSender(session, frame, address.path)
    connection.check(address.path)
    if address.group is None or address.partition_id is None:
        raise AmqpError(NOT_ALLOWED, "A reader names a consumer group and a partition.")
    hub = connection.broker.hub(address.hub)
    log = hub.partition(address.partition_id)
    epoch = (frame.get(_PROPERTIES, dict) or {}).get(_EPOCH)
    wanted = frame.get(_DESIRED_CAPABILITIES, object)
    return EventSender(
        session,
        frame,
        log,
        hub.readers(address.group, address.partition_id),
        log.locate(positions.parse(typed(source, 7, dict))),
        epoch=epoch if isinstance(epoch, int) else None,
        wants_metrics=_METRICS in (wanted if isinstance(wanted, list) else [wanted]),
    )


def _store(connection: Connection, address: addresses.Address) -> Callable[[int, bytes], None]:
    hub = connection.broker.hub(address.hub)
    append = hub.append if address.partition_id is None else hub.partition(address.partition_id).append

    def store(message_format: int, message: bytes) -> None:
        if message_format == BATCH_FORMAT:
            events, key = parse_batch(message)
        else:
            event = parse_event(message)
            events, key = [event], event.partition_key
        append(events, key)

    return store


def _terminus(frame: Frame, index: int) -> list[object]:
    """The fields of a link's source or target."""
    terminus = frame.require(index, Described).value
    if not isinstance(terminus, list):
        raise AmqpError(NOT_ALLOWED, "A link needs a source and a target.")
    return terminus


def _address(terminus: list[object]) -> str:
    address = typed(terminus, 0, str)
    if address is None:
        raise AmqpError(NOT_ALLOWED, "A link needs an address.")
    return address
