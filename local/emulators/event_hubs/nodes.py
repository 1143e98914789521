"""Opens the broker's end of a link to a hub, to a partition, or to a node that answers requests."""

from collections.abc import Callable, Mapping

from . import addresses, positions, requests
from .amqp_types import Described
from .errors import NOT_ALLOWED, AmqpError, no_entity
from .frames import Frame, typed
from .hubs import Hub
from .links import EventSender, Link, Peer, Receiver, ResponseSender
from .messages import BATCH_FORMAT, parse_batch, parse_event, parse_request
from .tokens import Grants

_EPOCH = "com.microsoft:epoch"
_METRICS = "com.microsoft:enable-receiver-runtime-metric"
_SOURCE, _TARGET, _DESIRED_CAPABILITIES, _PROPERTIES = 5, 6, 12, 13


class Nodes:
    """The nodes to which one connection can attach links.

    Args:
        hubs: all hubs, by lower-case name.
        grants: the resources that the connection may use; tokens that it sends to `$cbs` add to them.
    """

    def __init__(self, hubs: Mapping[str, Hub], grants: Grants) -> None:
        self._hubs = hubs
        self._grants = grants

    def open_link(self, peer: Peer, attach: Frame) -> Link:
        """Opens the link that an attach asks for; raises `AmqpError` to refuse it."""
        return (self._open_sender if attach.require(2, bool) else self._open_receiver)(peer, attach)

    def _open_receiver(self, peer: Peer, attach: Frame) -> Link:
        """Opens the broker's end of a link on which the peer sends."""
        address = addresses.parse(_address(_terminus(attach, _TARGET)))

        def put_token(_: int, message: bytes) -> None:
            peer.respond(addresses.CBS, requests.put_token(parse_request(message), self._grants))

        def read(_: int, message: bytes) -> None:
            response = requests.read(parse_request(message), self._hubs, self._grants)
            peer.respond(addresses.MANAGEMENT, response)

        if address.path == addresses.CBS:
            return Receiver(peer, attach, put_token)
        if address.path == addresses.MANAGEMENT:
            return Receiver(peer, attach, read)
        self._grants.check(address.path)
        return Receiver(peer, attach, self._store(address))

    def _open_sender(self, peer: Peer, attach: Frame) -> Link:
        """Opens the broker's end of a link on which the peer receives."""
        source = _terminus(attach, _SOURCE)
        address = addresses.parse(_address(source))
        if address.path in {addresses.CBS, addresses.MANAGEMENT}:
            return ResponseSender(peer, attach, address.path)
        self._grants.check(address.path)
        if address.group is None or address.partition_id is None:
            raise AmqpError(
                NOT_ALLOWED, "The address of a reader must name a consumer group and a partition."
            )
        hub = self._hub(address.hub)
        log = hub.partition(address.partition_id)
        epoch = (attach.get(_PROPERTIES, dict) or {}).get(_EPOCH)
        wanted = attach.get(_DESIRED_CAPABILITIES, object)
        return EventSender(
            peer,
            attach,
            log,
            hub.readers(address.group, address.partition_id),
            log.locate(positions.parse(typed(source, 7, dict))),
            epoch=epoch if isinstance(epoch, int) else None,
            wants_metrics=_METRICS in (wanted if isinstance(wanted, list) else [wanted]),
        )

    def _hub(self, name: str) -> Hub:
        if name not in self._hubs:
            raise no_entity(name)
        return self._hubs[name]

    def _store(self, address: addresses.Address) -> Callable[[int, bytes], None]:
        hub = self._hub(address.hub)
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
    """Returns the fields of a link's source or target."""
    terminus = frame.require(index, Described).value
    if not isinstance(terminus, list):
        raise AmqpError(NOT_ALLOWED, "A link needs a source and a target.")
    return terminus


def _address(terminus: list[object]) -> str:
    address = typed(terminus, 0, str)
    if address is None:
        raise AmqpError(NOT_ALLOWED, "A link needs an address.")
    return address
