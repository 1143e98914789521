import contextlib

import pytest
from azure.eventhub._pyamqp import performatives
from azure.eventhub._pyamqp._decode import decode_frame
from hypothesis import given, settings
from hypothesis import strategies as st

from local.emulators.event_hubs import frames
from local.emulators.event_hubs.amqp_types import Described, UInt
from local.emulators.event_hubs.errors import AmqpError
from local.emulators.event_hubs.frames import Code, Frame, FrameBuffer

ERROR = AmqpError("amqp:not-found", "words")
ATTACH = Frame(
    3,
    Code.ATTACH,
    ["link", UInt(1), True, None, None, Described(frames.SOURCE, ["a"]), Described(frames.TARGET, [])],
    b"",
)


@pytest.mark.parametrize(
    ("frame", "performative"),
    [
        (frames.sasl_mechanisms([]), performatives.SASLMechanism),
        (frames.sasl_outcome(0), performatives.SASLOutcome),
        (frames.open_frame("broker"), performatives.OpenFrame),
        (frames.begin(1, 10), performatives.BeginFrame),
        (frames.attach(1, ATTACH), performatives.AttachFrame),
        (frames.attach(1, ATTACH, refused=True), performatives.AttachFrame),
        (frames.flow(1, 2, 3, 4), performatives.FlowFrame),
        (frames.flow(1, 2, 3, 4, 5, 6, 7), performatives.FlowFrame),
        (frames.transfer(1, 2, 3, b"payload", more=False), performatives.TransferFrame),
        (frames.disposition(1, 2, Described(frames.ACCEPTED, [])), performatives.DispositionFrame),
        (frames.detach(1, 2), performatives.DetachFrame),
        (frames.detach(1, 2, ERROR), performatives.DetachFrame),
        (frames.end(1), performatives.EndFrame),
        (frames.close(ERROR), performatives.CloseFrame),
    ],
)
def test_the_sdk_finds_every_field_of_a_performative(frame: bytes, performative: type) -> None:
    assert int.from_bytes(frame[:4], "big") == len(frame)
    code, fields = decode_frame(memoryview(frame)[8:])
    payload = [fields.pop()] if code == Code.TRANSFER else []
    definition = performative._definition  # type: ignore[attr-defined]
    assert code == performative._code  # type: ignore[attr-defined]
    assert len(fields) == len([field for field in definition if field is not None])
    assert [bytes(part) for part in payload] == [b"payload"] * len(payload)


def test_an_error_has_all_three_fields() -> None:
    assert decode_frame(memoryview(frames.detach(1, 2, ERROR))[8:])[1] == [
        2,
        True,
        [b"amqp:not-found", b"words", None],
    ]


stream = st.lists(
    st.sampled_from(
        [
            frames.AMQP_HEADER,
            frames.SASL_HEADER,
            frames.EMPTY_FRAME,
            frames.end(3),
            frames.flow(1, 2, 3, 4),
            frames.transfer(1, 2, 3, b"AMQP payload", more=True),
        ]
    ),
    max_size=8,
)


@settings(deadline=None)
@given(stream, st.lists(st.integers(1, 50)))
def test_frames_are_complete_for_any_chunks(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(pieces)
    whole = list(FrameBuffer().feed(data))
    assert len(whole) == sum(piece != frames.EMPTY_FRAME for piece in pieces)
    buffer = FrameBuffer()
    found: list[Frame | bytes] = []
    for cut in [*cuts, len(data)]:
        found += buffer.feed(data[:cut])
        data = data[cut:]
    assert found == whole


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_any_octets_are_frames_or_an_error(data: bytes) -> None:
    with contextlib.suppress(AmqpError):
        list(FrameBuffer().feed(data))


def test_omitted_fields_are_null_and_others_have_their_type() -> None:
    frame = Frame(0, Code.FLOW, [UInt(5), "text"], b"")
    assert frame.get(0, UInt) == 5
    assert frame.get(7, UInt) is None
    for index in (1, 7):
        with pytest.raises(AmqpError, match="amqp:decode-error"):
            frame.require(index, UInt)
