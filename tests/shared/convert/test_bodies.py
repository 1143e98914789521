"""A file is split into bodies that contain each of its records once."""

import gzip
import io

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.convert.bodies import TOGETHER, bodies
from shared.errors import ConvertError

LIMIT = 1 << 22


def cut(text: bytes, limit: int = LIMIT) -> list[bytes]:
    return list(bodies(io.BufferedReader(io.BytesIO(text)), "file", limit))


def test_single_records_are_joined() -> None:
    lines = [orjson.dumps({"n": number}) for number in range(TOGETHER + 3)]
    first, second, last = cut(b"\n".join(lines))
    assert len(orjson.loads(first)["records"]) == TOGETHER
    assert [one["n"] for one in orjson.loads(second)["records"]] == [TOGETHER, TOGETHER + 1]
    assert last == lines[-1]


def test_envelopes_stay_as_they_are() -> None:
    lines = [b'{"records":[{"n":1}]}', b'{"Records":[{"n":2},{"n":3}]}']
    assert cut(b"\r\n".join(lines)) == [lines[0] + b"\r", lines[1]]


def test_a_malformed_line_does_not_affect_its_neighbors() -> None:
    lines = [b'{"n":1}', b"{'n':2}", b'{"n":3}']
    assert cut(b"\n".join(lines)) == lines


@pytest.mark.parametrize(
    "lines",
    [
        [b'{"a":[{}', b"{}]}", b'{"n":3}'],
        [b'{"a":"x', b'y"}', b'{"n":3}'],
        [b'{"a":"}', b'{"b":"}', b'{"n":3}'],
    ],
)
def test_lines_cannot_complete_each_other(lines: list[bytes]) -> None:
    assert cut(b'{"n":0}\n' + b"\n".join(lines)) == [b'{"n":0}', *lines]


def test_a_document_over_several_lines_is_one_body() -> None:
    document = orjson.dumps({"records": [{"n": 1}, {"n": 2}]}, option=orjson.OPT_INDENT_2)
    assert cut(document) == [document]
    assert cut(b'{"records": []}\n') == [b'{"records": []}\n']


def test_lines_are_found_if_a_read_ends_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [b'{"n":1}', b'{"n":2}', b'{"n":3}']
    monkeypatch.setattr("shared.convert.bodies.PIECE", len(lines[0]) + 1)
    assert cut(b"\n".join(lines)) == [b'{"records":[{"n":1},\n{"n":2}]}', lines[2]]


def test_gzip_is_read_through() -> None:
    assert cut(gzip.compress(b'{"records": []}\n{"records": [1]}')) == [
        b'{"records": []}',
        b'{"records": [1]}',
    ]


def test_damaged_gzip_is_named() -> None:
    with pytest.raises(ConvertError, match="file cannot be read"):
        cut(gzip.compress(b"x" * 100)[:-6])


def test_a_body_that_is_too_large_is_named() -> None:
    with pytest.raises(ConvertError, match="single message or line is larger than 4 MiB"):
        cut(b"[" + b"1," * (6 << 20))


VALUES = st.recursive(
    st.none() | st.integers(0, 9) | st.text('ab\n\\"{}[],', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3), min_size=2, max_size=8))
def test_a_file_of_lines_has_each_record_in_one_body(records: list[object]) -> None:
    found: list[object] = []
    for body in cut(b"\n".join(orjson.dumps(record) for record in records)):
        value = orjson.loads(body)
        found += value.get("records", [value])
    assert found == records
