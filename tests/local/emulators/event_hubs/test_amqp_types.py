import contextlib
import struct
from uuid import UUID

import pytest
from azure.eventhub._pyamqp._decode import _COMPOSITES, _DECODE_BY_CONSTRUCTOR
from azure.eventhub._pyamqp._encode import encode_value
from hypothesis import given, settings
from hypothesis import strategies as st

from local.emulators.event_hubs.amqp_types import (
    Array,
    Byte,
    Described,
    Float,
    Int,
    Long,
    Short,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
    decode,
    encode,
    skip,
)
from local.emulators.event_hubs.errors import AmqpError


def integers(kind: type[int], bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    low = -(1 << bits - 1) if signed else 0
    return st.integers(low, low + (1 << bits) - 1).map(kind)


numbers = st.one_of(
    *(
        integers(kind, bits, signed=False)
        for kind, bits in ((UByte, 8), (UShort, 16), (UInt, 32), (ULong, 64))
    ),
    *(integers(kind, bits, signed=True) for kind, bits in ((Byte, 8), (Short, 16), (Int, 32), (Long, 64))),
    integers(Timestamp, 64, signed=True),
    st.floats(allow_nan=False),
    st.floats(allow_nan=False, width=32).map(Float),
)
# Some are long enough for the second form of a length.
texts = st.text(max_size=300) | st.just("é" * 200)
octets = st.binary(max_size=300) | st.just(b"x" * 256)
symbols = st.text(st.characters(codec="ascii"), max_size=300).map(Symbol)
keys = st.one_of(
    numbers.filter(lambda number: not isinstance(number, float)), texts, octets, symbols, st.uuids()
)
primitives = st.one_of(st.none(), st.booleans(), keys, numbers)
arrays = st.sampled_from([integers(ULong, 64, signed=False), symbols, texts]).flatmap(
    lambda elements: st.lists(elements, min_size=1, max_size=5).map(Array)
)
values = st.recursive(
    primitives | arrays,
    lambda inner: (
        st.lists(inner, max_size=300)
        | st.dictionaries(symbols | texts, inner, max_size=200)
        | st.builds(Described, st.integers(0, 300).map(ULong) | symbols, inner)
    ),
    max_leaves=20,
)


def typed(value: object) -> object:
    """Return the value with its types, which == ignores: UInt(1) == Long(1) == True."""
    match value:
        case Described(descriptor, inner):
            return ("described", typed(descriptor), typed(inner))
        case dict():
            return [(typed(key), typed(inner)) for key, inner in value.items()]
        case list():
            return (type(value), [typed(inner) for inner in value])
    return (type(value), value)


@settings(deadline=None)
@given(values, octets)
def test_encoded_values_are_decoded_and_skipped(value: object, rest: bytes) -> None:
    encoded = encode(value)
    decoded, end = decode(encoded + rest)
    assert typed(decoded) == typed(value)
    assert end == skip(encoded + rest, 0) == len(encoded)


@settings(deadline=None)
@given(values)
def test_a_value_cut_short_is_a_decode_error(value: object) -> None:
    encoded = encode(value)
    for length in {0, 1, len(encoded) // 2, len(encoded) - 1} - {len(encoded)}:
        with pytest.raises(AmqpError, match="amqp:decode-error"):
            decode(encoded[:length])
        with pytest.raises(AmqpError, match="amqp:decode-error"):
            skip(encoded[:length], 0)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_any_octets_are_a_value_or_a_decode_error(data: bytes) -> None:
    with contextlib.suppress(AmqpError):
        assert decode(data)[1] <= len(data)
    with contextlib.suppress(AmqpError):
        assert skip(data, 0) <= len(data)


def as_the_sdk_has_it(value: object) -> object:
    """The SDK names the outcomes of deliveries, drops other descriptors and returns text as octets."""
    match value:
        case Described(ULong() as code, inner) if code in _COMPOSITES:
            return {_COMPOSITES[code]: as_the_sdk_has_it(inner)}
        case Described(_, inner):
            return as_the_sdk_has_it(inner)
        case dict():
            return {as_the_sdk_has_it(key): as_the_sdk_has_it(inner) for key, inner in value.items()}
        case list():
            return [as_the_sdk_has_it(inner) for inner in value]
        case str():
            return value.encode()
    return value


@settings(deadline=None)
@given(values.filter(lambda value: not isinstance(value, Described)))
def test_the_sdk_decodes_what_the_broker_encodes(value: object) -> None:
    encoded = memoryview(encode(value))
    rest, decoded = _DECODE_BY_CONSTRUCTOR[encoded[0]](encoded[1:])
    assert bytes(rest) == b""
    assert decoded == as_the_sdk_has_it(value)


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | texts | octets | st.uuids() | st.floats(allow_nan=False),
        lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    )
)
def test_the_broker_decodes_what_the_sdk_encodes(value: object) -> None:
    output = bytearray()
    encode_value(output, value)
    assert decode(bytes(output)) == (value, len(output))


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\x40", None),
        (b"\x41", True),
        (b"\x56\x00", False),
        (b"\x43", UInt(0)),
        (b"\x44", ULong(0)),
        (b"\x45", []),
        (b"\x52\xff", UInt(255)),
        (b"\x54\xff", Int(-1)),
        (b"\x55\x80", Long(-128)),
        (b"\x72" + struct.pack(">f", 1.5), Float(1.5)),
        (b"\x98" + bytes(range(16)), UUID(bytes=bytes(range(16)))),
        (b"\xb1\x00\x00\x00\x02\xc3\xa9", "é"),
        (b"\xd0\x00\x00\x00\x05\x00\x00\x00\x01\x41", [True]),
        (b"\xe0\x04\x02\xa3\x00\x00", Array([Symbol(""), Symbol("")])),
        (b"\x00\x53\x24\x45", Described(ULong(0x24), [])),
    ],
)
def test_every_form_of_the_standard_that_clients_use_is_decoded(data: bytes, value: object) -> None:
    decoded, end = decode(data)
    assert typed(decoded) == typed(value)
    assert end == len(data) == skip(data, 0)


def test_empty_lists_and_small_descriptors_are_encoded_as_dotnet_expects() -> None:
    assert encode([]) == b"\xc0\x01\x00"
    assert encode(Described(ULong(0x24), [])) == b"\x00\x53\x24\xc0\x01\x00"


@pytest.mark.parametrize("value", [1, object(), Array([Symbol("a"), "b"])])
def test_values_without_a_type_are_not_encoded(value: object) -> None:
    with pytest.raises(TypeError):
        encode(value)
