import bz2
import gzip
import lzma
import zlib
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.input import bodies
from shared.input.envelope import Unreadable
from shared.input.salvage import Malformed
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


@pytest.mark.parametrize(
    ("encode", "name"),
    [
        (lambda text: text.decode().encode("utf-16"), "UTF-16"),
        (lambda text: text.decode().encode("utf-16-le"), "UTF-16"),
        (lambda text: text.decode().encode("utf-16-be"), "UTF-16"),
        (lambda text: text.decode().encode("utf-32"), "UTF-32"),
        (zlib.compress, "zlib"),
        (b64encode, "base64"),
        (lambda text: b64encode(gzip.compress(text)), "base64"),
        (bz2.compress, "bzip2"),
        (lzma.compress, "xz"),
    ],
)
def test_an_encoding_is_rejected_by_name(encode: Callable[[bytes], bytes], name: str) -> None:
    for text in (b'{"records":[{"a":1}]}', b'[{"a":"\xc3\xa9"}]'):
        with pytest.raises(Unreadable, match=f"as UTF-8 text, got {name}"):
            records(encode(text))


GOOD = [{"category": "x", "a": [{"b": "},{"}]}, {"category": "x", "Type": None, "a": {"b": {"c": 1}}}]
BAD = [
    *(
        b'{"a":NaN}',
        b"{'a':'b'}",
        b'{"a":"x\ny"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xe9"}',
        b'{"a":1,}',
        b'{"a":"b}',
    ),
    *(b'{"a":{"b":1}', b'{"a":tru}', b'{"a" 1}', b"{a:1}", b'{"a":01}', b'{"a":"\\x"}', b'{"a":"b"c"}', b"{"),
    *(b'{"category":"x","a":[1,2}', b'{"a":"\x01"}'),
]


def test_records_that_all_lack_a_brace_are_rejected_one_by_one() -> None:
    bad = b'{"category":"x","a":{"b":1}'
    found = records(b'{"records":[' + b",".join([bad] * 1000 + [b'{"category":"x"}']) + b"]}")
    assert found == [Malformed(bad)] * 1000 + [{"category": "x"}]


@pytest.mark.parametrize("form", [b'{"records":[%b]}', b"[%b]", b'[{"records":[%b]}]', b'{"records":[%b'])
@pytest.mark.parametrize("bad", BAD)
def test_a_malformed_record_does_not_affect_its_neighbors(bad: bytes, form: bytes) -> None:
    good = list(map(orjson.dumps, GOOD))
    for at in range(3):
        written = [*good]
        written.insert(at, bad)
        found = records(form % b",".join(written))
        assert [record for record in found if type(record) is dict] == GOOD
        assert [type(record) for record in found].count(Malformed) == 1


def test_fields_of_an_envelope_may_be_deep_or_large() -> None:
    deep = b"[" * 500 + b"]" * 500
    text = b'{"records":[{"a":1}],"x":%b,"y":12345678901234567890123}' % deep
    found = bodies.records(text, LIMIT, exact=True)
    assert [record["envelope"]["y"] for record in found] == [12345678901234567890123]


@pytest.mark.parametrize("body", [b'{"records":[', b'{"records": [ ', b'{"records":[]', b"["])
def test_a_body_cut_off_before_its_first_record_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        bodies.records(body, LIMIT)


def test_several_envelopes_without_records_are_fine() -> None:
    assert bodies.records(b'{"records":[]}\n {"Records": [ ]}\x1e{"records":[]}', LIMIT) == []
