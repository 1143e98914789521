import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.input.gzip_bodies import inflate
from shared.input.rejections import Unreadable

MEMBER = gzip.compress(b'{"a":1}', mtime=0)


def check_message(error: Unreadable) -> None:
    assert str(error).isprintable()
    assert str(error).isascii()
    assert len(str(error)) < 300


def test_a_body_that_is_not_compressed_is_itself() -> None:
    body = b'{"records":[]}'
    assert inflate(body, 1) is body


@pytest.mark.parametrize("padding", [b"", b"\0" * 3, b"\0" * 70_000])
def test_all_members_of_a_gzip_body_are_read(padding: bytes) -> None:
    bodies = [b"", b"x" * 100_000, b"y"]
    assert inflate(b"".join(map(gzip.compress, bodies)) + padding, 1 << 20) == b"".join(bodies)


@pytest.mark.parametrize(
    "body",
    [
        MEMBER[:-1],
        MEMBER[:5],
        MEMBER[:2],
        MEMBER + b"text",
        MEMBER + b"\0text",
        MEMBER + MEMBER[:-1],
        MEMBER[:-8] + bytes([MEMBER[-8] ^ 1]) + MEMBER[-7:],
    ],
)
def test_a_damaged_gzip_body_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        inflate(body, 1 << 20)


def test_a_gzip_body_inflates_up_to_its_limit() -> None:
    body = gzip.compress(b" " * 1000) + gzip.compress(b" " * 1000)
    assert len(inflate(body, 2000)) == 2000
    with pytest.raises(Unreadable, match="at most 1999 bytes"):
        inflate(body, 1999)


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5), st.integers(0, 9))
def test_gzip_bodies_are_inflated(bodies: list[bytes], level: int) -> None:
    body = b"".join(gzip.compress(each, level, mtime=0) for each in bodies)
    assert inflate(body, 1000) == b"".join(bodies)


@given(st.binary())
def test_inflating_raises_nothing_but_unreadable(body: bytes) -> None:
    try:
        inflate(b"\x1f\x8b\x08" + body, 100)
    except Unreadable as error:
        check_message(error)


def test_many_small_gzip_members_take_linear_time() -> None:
    empty = zlib.compressobj(wbits=31).flush()
    assert inflate(empty * 20_000 + MEMBER, 100) == b'{"a":1}'
