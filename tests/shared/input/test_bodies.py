from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.input import bodies
from shared.input.rejections import Unreadable
from shared.input.salvage import Malformed
from tests.shared.input.test_gzip_bodies import check_message
from tests.shared.test_wording import JSON

LIMIT = 1 << 29


def records(text: bytes) -> list[object]:
    return bodies.records(text, LIMIT)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b'{"records":[]}', []),
        (b'{"records":[{"a":1},2]}', [{"a": 1}, 2]),
        (b'{"RECORDS":[1]}', [1]),
        (b'{"Records":[1],"records":[2]}', [1, 2]),
        (b'{"records":[1],"records":[2]}', [1, 2]),
        (b'{"records":[1],"a":[{"records":[5]}],"rec\\u006frds":[2]}', [1, 2]),
        (
            b'{"records":[{"a":1}],"location":"x","Sku":2}',
            [{"a": 1, "location": "x", "envelope": {"Sku": 2}}],
        ),
        (b'{"records":[{"a":1}]}{"records":[{"a":2}]}\0', [{"a": 1}, {"a": 2}]),
        (b'\x1e{"a":1}\n\x1e{"a":2}\n', [{"a": 1}, {"a": 2}]),
        (b'["{\\"a\\":1}","{\\"records\\":[{\\"a\\":2}]}"]', [{"a": 1}, {"a": 2}]),
        (b'{"records":["{bad","[","x"]}', ["{bad", "[", "x"]),
        (b'["{bad",{"a":1}]', ["{bad", {"a": 1}]),
        (b'"{\\"records\\":[{\\"a\\":1}]}"', [{"a": 1}]),
        (b'{"records":"[{\\"a\\":1}]"}', [{"a": 1}]),
        (b'{"records":[{"a":1},{"a":NaN},{"a":3},]}', [{"a": 1}, Malformed(b'{"a":NaN}'), {"a": 3}]),
        (
            b'{"v":1,"records":[{"a":{"b":1}},{"a":2',
            [{"a": {"b": 1}, "envelope": {"v": 1}}, Malformed(b'{"a":2')],
        ),
        (b'[{"records":[{"a":1},3]},{"records":[{"a":"\xff"}]}]', [{"a": 1}, 3, Malformed(b'{"a":"\xff"}')]),
        (
            b'{"records":[{"category":"x,"a":1},{"category":"x"},{"category":"y"}]}',
            [Malformed(b'{"category":"x,"a":1}'), {"category": "x"}, {"category": "y"}],
        ),
        (
            b'{"records":[{"category":"x","a":{"b":1},{"category":"x"}]}',
            [Malformed(b'{"category":"x","a":{"b":1}'), {"category": "x"}],
        ),
        (b'{"a":1}', [{"a": 1}]),
        (b'[{"a":1},null,[]]', [{"a": 1}, None, []]),
        (b'[{"records":[1,2],"EventProcessedUtcTime":""},{"a":1},{"Records":[]},3]', [1, 2, {"a": 1}, 3]),
        (b'[{"Records":[1]},{"RECORDS":[2]}]', [1, 2]),
        (b"[]", []),
        (b'{"a":1}\n{"records":[2,3]}\r\n\r\n [4]', [{"a": 1}, 2, 3, 4]),
        (b'{"a":1}\n{"a":\n{"a":2}', [{"a": 1}, Malformed(b'{"a":'), {"a": 2}]),
        (b'{"a":1}\n7\n\xff\n{"records":1}', [{"a": 1}, b"7", b"\xff", b'{"records":1}']),
        (b'\xef\xbb\xbf \r\n{"a":1}', [{"a": 1}]),
        (b' \xef\xbb\xbf{"a":1}\t\n', [{"a": 1}]),
    ],
)
def test_records_are_returned_flat_and_in_order(text: bytes, found: list[Any]) -> None:
    assert records(text) == found


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"\xef\xbb\xbf", b" \n", b"7", b'"text"', b"null", b"a\nb", b"1\n2", b"\xff"),
        *(b'"{bad"', b'{"records":"[bad"}'),
        *(b'{"records":{}}', b'{"records":null}', b'[{"records":[]},{"records":1}]'),
    ],
)
def test_a_body_without_records_is_unreadable(text: bytes) -> None:
    with pytest.raises(Unreadable) as raised:
        records(text)
    check_message(raised.value)


def test_a_body_that_needs_too_much_memory_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="smaller envelopes"):
        records(b"[" + b"{}," * 4_000_000 + b"{}]")


@given(st.binary() | JSON.map(orjson.dumps) | st.lists(JSON.map(orjson.dumps)).map(b"\n".join))
def test_reading_records_raises_nothing_but_unreadable(text: bytes) -> None:
    try:
        assert isinstance(records(text), list)
    except Unreadable as error:
        check_message(error)


@given(st.lists(st.dictionaries(st.sampled_from(["time", "x"]), JSON)))
def test_all_forms_of_an_envelope_give_the_same_records(found: list[dict[str, Any]]) -> None:
    found = orjson.loads(orjson.dumps(found))
    assert records(orjson.dumps({"records": found})) == found
    assert records(orjson.dumps(found)) == found
    assert records(orjson.dumps([{"records": [record]} for record in found])) == found
    if found:
        assert records(b"\n".join(map(orjson.dumps, found))) == found


def test_fields_of_an_envelope_may_be_deep_or_large() -> None:
    deep = b"[" * 500 + b"]" * 500
    text = b'{"records":[{"a":1}],"x":%b,"y":12345678901234567890123}' % deep
    found = bodies.records(text, LIMIT, exact=True)
    assert [record["envelope"]["y"] for record in found] == [12345678901234567890123]


def test_several_envelopes_without_records_are_fine() -> None:
    assert bodies.records(b'{"records":[]}\n {"Records": [ ]}\x1e{"records":[]}', LIMIT) == []
