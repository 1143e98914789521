from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.input import bodies
from shared.input.envelope import Unreadable
from tests.shared.input.test_envelope import JSON, check_message

LIMIT = 1 << 29


def records(text: bytes) -> list[object]:
    return bodies.records(text, LIMIT)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b'{"records":[]}', []),
        (b'{"records":[{"a":1},2]}', [{"a": 1}, 2]),
        (b'{"RECORDS":[1]}', [1]),
        (b'{"Records":[1],"records":[2]}', [2]),
        (b'{"a":1}', [{"a": 1}]),
        (b'[{"a":1},null,[]]', [{"a": 1}, None, []]),
        (b'[{"records":[1,2],"EventProcessedUtcTime":""},{"a":1},{"Records":[]},3]', [1, 2, {"a": 1}, 3]),
        (b'[{"Records":[1]},{"RECORDS":[2]}]', [1, 2]),
        (b"[]", []),
        (b'{"a":1}\n{"records":[2,3]}\r\n\r\n [4]', [{"a": 1}, 2, 3, 4]),
        (b'{"a":1}\n{"a":\n{"a":2}', [{"a": 1}, b'{"a":', {"a": 2}]),
        (b'{"a":1}\n7\n\xff\n{"records":1}', [{"a": 1}, b"7", b"\xff", b'{"records":1}']),
        (b'\xef\xbb\xbf \r\n{"a":1}', [{"a": 1}]),
        (b' \xef\xbb\xbf{"a":1}\t\n', [{"a": 1}]),
    ],
)
def test_records_come_flat_and_in_order(text: bytes, found: list[Any]) -> None:
    assert records(text) == found


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"\xef\xbb\xbf", b" \n", b"7", b'"text"', b"null", b"{", b"a\nb", b"1\n2", b"\xff"),
        *(b'{"a":NaN}', b'["\\ud800"]', b"[" * 5000 + b"]" * 5000),
        *(b'{"records":{}}', b'{"records":null}', b'[{"records":[]},{"records":1}]'),
    ],
)
def test_what_has_no_records_to_be_had_is_unreadable(text: bytes) -> None:
    with pytest.raises(Unreadable) as raised:
        records(text)
    check_message(raised.value)


def test_what_would_take_too_much_memory_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="smaller envelopes"):
        records(b"[" + b"{}," * 4_000_000 + b"{}]")


@given(st.binary() | JSON.map(orjson.dumps) | st.lists(JSON.map(orjson.dumps)).map(b"\n".join))
def test_nothing_but_unreadable_comes_out_of_records(text: bytes) -> None:
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
