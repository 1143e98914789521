import re

import pytest

from local.emulators.event_hubs import frames
from local.emulators.event_hubs.amqp_types import Described, Long, UInt
from local.emulators.event_hubs.frames import Code, Frame
from local.emulators.event_hubs.messages import BATCH_FORMAT
from local.emulators.event_hubs.process import BrokerProcess

from .clients import send
from .peer import Peer, data_message, selector

READ = "single/ConsumerGroups/$Default/Partitions/0"


def attached_reader(broker: BrokerProcess, *, window: int = 1000, max_frame_size: int = 65536) -> Peer:
    peer = Peer(broker, window=window, max_frame_size=max_frame_size)
    assert peer.authorize() == 202
    peer.attach(0, READ, reads=True)
    peer.next_frame(Code.ATTACH)
    return peer


def refusal(peer: Peer) -> tuple[str, str]:
    """Return the condition and description of a refused attach."""
    attach, detach = peer.next_frame(Code.ATTACH), peer.next_frame(Code.DETACH)
    assert attach.fields[5:7] == [None, None]
    assert detach.fields[1] is True
    return error_of(detach)


def error_of(frame: Frame) -> tuple[str, str]:
    error = frame.fields[-1]
    assert isinstance(error, Described)
    assert isinstance(error.value, list)
    return error.value[0], error.value[1]


def test_a_reader_gets_one_event_for_each_credit(broker: BrokerProcess) -> None:
    send(broker, map(str, range(10)))
    with attached_reader(broker) as peer:
        assert peer.is_silent()
        peer.grant(0, 3)
        assert [peer.next_frame(Code.TRANSFER).fields[1] for _ in range(3)] == [1, 2, 3]
        assert peer.is_silent()
        peer.grant(0, 3, seen=3, count=2)
        peer.next_frame(Code.TRANSFER)
        peer.next_frame(Code.TRANSFER)
        assert peer.is_silent()


def test_transfers_wait_for_the_window_even_inside_an_event(broker: BrokerProcess) -> None:
    send(broker, [b"x" * 5000, b"end"])
    with attached_reader(broker, window=3, max_frame_size=1000) as peer:
        peer.grant(0, 100, window=2, seen=1)
        first = [peer.next_frame(Code.TRANSFER) for _ in range(2)]
        assert peer.is_silent()
        peer.grant(0, 100, window=100, seen=3)
        rest = [peer.next_frame(Code.TRANSFER) for _ in range(5)]
    assert [frame.fields[5] for frame in first + rest] == [True, True, True, True, True, False, False]
    assert b"x" * 5000 in b"".join(frame.payload for frame in first + rest[:4])
    assert all(len(frame.payload) + frames.TRANSFER_OVERHEAD <= 1000 for frame in first)
    assert rest[4].payload.endswith(b"end")


def test_a_detached_link_gets_nothing_more(broker: BrokerProcess) -> None:
    send(broker, [b"x" * 5000])
    with attached_reader(broker, window=3, max_frame_size=1000) as peer:
        peer.grant(0, 100, window=1, seen=1)
        peer.next_frame(Code.TRANSFER)
        peer.perform(Code.DETACH, UInt(0), True)  # noqa: FBT003
        peer.next_frame(Code.DETACH)
        peer.attach(1, READ, reads=True)
        peer.next_frame(Code.ATTACH)
        peer.grant(1, 100, window=100, seen=2)
        assert peer.next_frame(Code.TRANSFER).fields[0] == 1


def test_a_reader_of_a_missing_entity_is_refused(broker: BrokerProcess) -> None:
    expected = [
        ("single/ConsumerGroups/none/Partitions/0", "amqp:not-found"),
        ("single/ConsumerGroups/$Default/Partitions/1", "com.microsoft:argument-out-of-range"),
        ("single/ConsumerGroups/$Default", "amqp:not-allowed"),
        ("single/Elsewhere/0", "amqp:not-found"),
        ("four/ConsumerGroups/$Default/Partitions/0", "amqp:unauthorized-access"),
    ]
    with Peer(broker) as peer:
        peer.authorize()
        for handle, (address, condition) in enumerate(expected):
            peer.attach(handle, address, reads=True)
            assert refusal(peer)[0] == condition, address


def test_an_invalid_position_is_refused(broker: BrokerProcess) -> None:
    send(broker, ["0"])
    expected = [
        ("amqp.annotation.x-opt-offset > '1000'", "The last offset in the system is '0'"),
        ("amqp.annotation.x-opt-sequence-number > '5'", "The last sequence number in the system is '0'"),
        ("amqp.annotation.x-opt-offset > 'abc'", "is not a number"),
        ("amqp.annotation.x-opt-offset < '1'", "is not supported"),
    ]
    with Peer(broker) as peer:
        peer.authorize()
        for handle, (expression, words) in enumerate(expected):
            peer.attach(handle, READ, reads=True, filters=selector(expression))
            condition, description = refusal(peer)
            assert condition == "com.microsoft:argument-error"
            assert words in description


def test_names_are_case_insensitive(broker: BrokerProcess) -> None:
    with Peer(broker) as peer:
        peer.authorize("SINGLE")
        peer.attach(0, f"amqps://127.0.0.1/{READ.upper()}", reads=True)
        assert peer.next_frame(Code.ATTACH).fields[5] is not None


def test_a_token_is_checked(broker: BrokerProcess) -> None:
    def status(address: str, properties: dict[object, object]) -> object:
        return peer.ask(address, properties, "x").properties["status-code"]

    with Peer(broker) as peer:
        assert peer.authorize(key="wrong") == 401
        assert peer.authorize(seconds=-1) == 401
        assert status("$cbs", {"operation": "put-token", "type": "jwt"}) == 401
        assert status("$cbs", {"operation": "delete-token"}) == 400
        peer.attach(0, "single", reads=False)
        assert refusal(peer)[0] == "amqp:unauthorized-access"
        read: dict[object, object] = {"operation": "READ", "type": "com.microsoft:eventhub", "name": "single"}
        assert status("$management", read) == 401
        assert peer.authorize() == 202
        assert status("$management", read) == 200
        assert status("$management", read | {"operation": "DELETE"}) == 400


def test_a_token_for_the_namespace_gives_access_to_each_hub(broker: BrokerProcess) -> None:
    with Peer(broker) as peer:
        assert peer.authorize(hub="") == 202
        for handle, hub in enumerate(("single", "four")):
            peer.attach(handle, f"{hub}/ConsumerGroups/$Default/Partitions/0", reads=True)
            assert peer.next_frame(Code.ATTACH).fields[5] is not None
    with Peer(broker) as peer:
        assert peer.authorize(hub="sing") == 202
        peer.attach(0, READ, reads=True)
        assert refusal(peer)[0] == "amqp:unauthorized-access"


def test_a_management_request_has_its_own_token(broker: BrokerProcess) -> None:
    def status(hub: str, signed_for: str, key: str | None = None) -> object:
        request: dict[object, object] = {
            "operation": "READ",
            "type": "com.microsoft:eventhub",
            "name": hub,
            "security_token": peer.token(signed_for, key),
        }
        return peer.ask("$management", request).properties["status-code"]

    with Peer(broker) as peer:
        assert status("single", "single") == 200
        assert status("four", "single") == 401
        assert status("single", "single", key="wrong") == 401
        # It is valid for this request only.
        peer.attach(0, READ, reads=True)
        assert refusal(peer)[0] == "amqp:unauthorized-access"


def test_an_unknown_entity_is_reported_as_dotnet_clients_expect(
    broker: BrokerProcess,
) -> None:
    with Peer(broker) as peer:
        peer.authorize(hub="")
        for handle, address in enumerate(
            ("none/ConsumerGroups/$Default/Partitions/0", "single/ConsumerGroups/none/Partitions/0")
        ):
            peer.attach(handle, address, reads=True)
            condition, description = refusal(peer)
            assert condition == "amqp:not-found"
            assert re.match("The messaging entity .* could not be found", description)
        peer.attach(9, "none", reads=False)
        assert re.match("The messaging entity .* could not be found", refusal(peer)[1])
        request: dict[object, object] = {
            "operation": "READ",
            "type": "com.microsoft:eventhub",
            "name": "none",
        }
        answer = peer.ask("$management", request).properties
        assert answer["status-code"] == 404
        assert re.match("The messaging entity .* could not be found", str(answer["status-description"]))


def test_the_largest_event_reaches_a_reader(broker: BrokerProcess) -> None:
    # .NET drops a link whose message exceeds the announced size; the broker adds annotations to it.
    message = data_message(b"x" * (frames.MAX_MESSAGE_SIZE - 8))
    assert len(message) == frames.MAX_MESSAGE_SIZE
    with Peer(broker) as peer:
        peer.authorize()
        peer.attach(0, "single", reads=False)
        assert peer.next_frame(Code.ATTACH).fields[10] == frames.MAX_MESSAGE_SIZE
        peer.next_frame(Code.FLOW)
        room = frames.MAX_FRAME_SIZE - 100
        parts = [message[at : at + room] for at in range(0, len(message), room)]
        for number, part in enumerate(parts):
            fields = (UInt(0), UInt(0), b"tag", UInt(0), False, number < len(parts) - 1)
            peer.perform(Code.TRANSFER, *fields, payload=part)
        outcome = peer.next_frame(Code.DISPOSITION).fields[4]
        assert isinstance(outcome, Described)
        assert outcome.descriptor == frames.ACCEPTED
        peer.attach(1, READ, reads=True)
        assert peer.next_frame(Code.ATTACH).fields[10] is None
        peer.grant(1, 1)
        received = b""
        while not received.endswith(message):
            received += peer.next_frame(Code.TRANSFER).payload
    assert len(received) > frames.MAX_MESSAGE_SIZE


def test_a_stolen_link_is_closed_with_the_reason(broker: BrokerProcess) -> None:
    with attached_reader(broker) as peer:
        peer.attach(1, READ, reads=True, epoch=Long(3))
        assert error_of(peer.next_frame(Code.DETACH))[0] == "amqp:link:stolen"
        peer.next_frame(Code.ATTACH)
        peer.attach(2, READ, reads=True, epoch=Long(2))
        assert refusal(peer)[0] == "amqp:link:stolen"


def test_an_invalid_message_is_rejected_without_closing_the_link(broker: BrokerProcess) -> None:
    with Peer(broker) as peer:
        peer.authorize()
        peer.attach(0, "single", reads=False)
        peer.next_frame(Code.ATTACH)
        assert peer.next_frame(Code.FLOW).fields[6]
        outcomes = []
        for number, (message, message_format) in enumerate(
            [
                (b"\x01\x02\x03", 0),
                (data_message(b"no message"), BATCH_FORMAT),
                (data_message(data_message(b"in a batch")), BATCH_FORMAT),
                (data_message(b"alone"), 0),
            ]
        ):
            peer.send(0, number, message, message_format)
            outcome = peer.next_frame(Code.DISPOSITION).fields[4]
            assert isinstance(outcome, Described)
            outcomes.append(outcome.descriptor)
    assert outcomes == [frames.REJECTED, frames.REJECTED, frames.ACCEPTED, frames.ACCEPTED]


def test_credit_and_windows_don_t_run_out_for_a_sender(broker: BrokerProcess) -> None:
    with Peer(broker) as peer:
        peer.authorize()
        peer.attach(0, "single", reads=False)
        peer.next_frame(Code.ATTACH)
        credit = peer.next_frame(Code.FLOW).fields[6]
        assert isinstance(credit, int)
        for number in range(credit):
            peer.send(0, number, data_message(b"x"))
        granted = 0
        for _ in range(credit):
            item = peer.next_item()
            while isinstance(item, Frame) and item.code == Code.FLOW:
                granted = item.require(5, UInt) + item.require(6, UInt)
                item = peer.next_item()
        assert granted > credit


def test_a_broken_frame_closes_the_connection_with_the_reason(broker: BrokerProcess) -> None:
    expected = [
        (b"\x00\x00\x00\x04\x02\x00\x00\x00", "amqp:connection:framing-error"),
        (b"\x7f\x00\x00\x00\x02\x00\x00\x00", "amqp:connection:framing-error"),
        (b"\x00\x00\x00\x0c\x02\x00\x00\x00\x01\x02\x03\x04", "amqp:decode-error"),
        (frames._frame(0, Code.TRANSFER, [UInt(9), UInt(0)]), "amqp:session:unattached-handle"),
        (frames._frame(0, Code.TRANSFER, ["no handle"]), "amqp:decode-error"),
        (frames._frame(7, Code.FLOW, []), "amqp:not-allowed"),
        (frames._frame(0, Code.BEGIN, [None, UInt(0), UInt(1), UInt(1)]), "amqp:not-allowed"),
    ]
    for frame, condition in expected:
        with Peer(broker) as peer:
            peer.write(frame)
            assert error_of(peer.next_frame(Code.CLOSE))[0] == condition
            with pytest.raises(EOFError):
                peer.next_item()
    with Peer(broker) as other:
        assert other.authorize() == 202


def test_an_idle_peer_gets_empty_frames(broker: BrokerProcess) -> None:
    with Peer(broker) as peer:
        peer.perform(Code.OPEN, "peer", None, UInt(65536), None, UInt(200))
        peer.next_frame(Code.OPEN)
        assert peer._socket.recv(8) == frames.EMPTY_FRAME
        assert peer._socket.recv(8) == frames.EMPTY_FRAME


def test_end_and_close_are_answered(broker: BrokerProcess) -> None:
    with attached_reader(broker) as peer:
        peer.perform(Code.END, None)
        peer.next_frame(Code.END)
        peer.perform(Code.BEGIN, None, UInt(0), UInt(10), UInt(10))
        peer.next_frame(Code.BEGIN)
        peer.perform(Code.CLOSE, None)
        peer.next_frame(Code.CLOSE)
        with pytest.raises(EOFError):
            peer.next_item()


def test_a_stopping_broker_closes_connections_with_the_reason(broker: BrokerProcess) -> None:
    with attached_reader(broker) as peer:
        assert broker.stop() == 0
        assert error_of(peer.next_frame(Code.CLOSE))[0] == "amqp:connection:forced"
