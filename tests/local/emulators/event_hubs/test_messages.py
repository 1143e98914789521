from azure.eventhub import EventData, EventDataBatch
from azure.eventhub._pyamqp._decode import decode_payload
from azure.eventhub._pyamqp._encode import encode_payload
from azure.eventhub._pyamqp.message import BatchMessage, Header, Message, Properties
from hypothesis import given, settings
from hypothesis import strategies as st

from local.emulators.event_hubs import messages
from local.emulators.event_hubs.amqp_types import Symbol, UInt

OURS: dict[str | bytes, object] = {
    b"x-opt-sequence-number": 7,
    b"x-opt-offset": b"1234",
    b"x-opt-enqueued-time": 99,
}


def encoded(message: object) -> bytes:
    output = bytearray()
    encode_payload(output, message)  # type: ignore[arg-type]
    return bytes(output)


def delivered(message: bytes, key: str | None = None) -> Message:
    return decode_payload(memoryview(messages.parse_event(message).enqueued(7, 1234, 99, key)))


texts = st.text(max_size=20)
sent_messages = st.builds(
    Message,
    header=st.none() | st.just(Header(durable=True)),
    delivery_annotations=st.none() | st.just({"hop": "x"}),
    message_annotations=st.none() | st.dictionaries(texts.map("x-own-{}".format), texts, max_size=30),
    properties=st.none() | st.builds(Properties, message_id=texts, content_type=texts),
    application_properties=st.none() | st.dictionaries(texts, texts | st.binary(), max_size=5),
    data=st.lists(st.binary(max_size=300), min_size=1, max_size=3),
    sequence=st.none(),
    value=st.none(),
    footer=st.none() | st.dictionaries(texts, texts, min_size=1, max_size=3),
)


@settings(deadline=None)
@given(sent_messages)
def test_an_event_arrives_as_sent_with_the_brokers_annotations(message: Message) -> None:
    sent = decode_payload(memoryview(encoded(message)))
    assert delivered(encoded(message)) == sent._replace(
        message_annotations={**OURS, **(sent.message_annotations or {})}, delivery_annotations=None
    )


def test_only_the_broker_sets_its_annotations() -> None:
    forged = Message(
        message_annotations={"x-opt-sequence-number": 1, "x-opt-offset": "1", "x-own": "kept"}, data=[b""]
    )
    # An annotation's key is a symbol; the SDK converts any text to one.
    assert delivered(encoded(forged)).message_annotations == {**OURS, b"x-own": b"kept"}


def test_events_without_a_key_get_that_of_their_batch() -> None:
    inner = [Message(data=[b"1"]), Message(data=[b"2"], message_annotations={"x-opt-partition-key": "own"})]
    batch = BatchMessage(
        message_annotations={"x-opt-partition-key": "batch"}, data=[encoded(message) for message in inner]
    )
    events, key = messages.parse_batch(encoded(batch))
    assert key == "batch"
    keys = [
        (decode_payload(memoryview(event.enqueued(0, 0, 0, key))).message_annotations or {})[
            b"x-opt-partition-key"
        ]
        for event in events
    ]
    assert keys == [b"batch", b"own"]
    assert [event.partition_key for event in events] == [None, "own"]
    assert all(event.enqueued(0, 0, 0, key).count(b"x-opt-partition-key") == 1 for event in events)


def test_a_batch_of_the_sdk_has_its_events() -> None:
    batch = EventDataBatch(1024 * 1024)
    sent = [b"", b"x" * 70_000, b"y"]
    for body in sent:
        batch.add(EventData(body))
    events, key = messages.parse_batch(encoded(batch._message))
    assert key is None
    assert [decode_payload(memoryview(event.enqueued(0, 0, 0, None))).data for event in events] == [
        [body] for body in sent
    ]


@settings(deadline=None)
@given(sent_messages)
def test_delivery_annotations_are_added_where_the_sdk_finds_them(message: Message) -> None:
    stored = messages.parse_event(encoded(message)).enqueued(7, 1234, 99, None)
    with_them = messages.with_delivery_annotations(stored, {Symbol("last"): UInt(1)})
    expected = decode_payload(memoryview(stored))._replace(delivery_annotations={b"last": 1})
    assert decode_payload(memoryview(with_them)) == expected
    codes = [section.code for section in messages.sections(with_them)]
    assert codes == sorted(codes)
