"""Bodies in another encoding or format are rejected by its name."""

import bz2
import gzip
import lzma
import zlib
from base64 import b64encode
from collections.abc import Callable

import pytest

from shared.input.rejections import Unreadable
from tests.shared.input.test_bodies import records


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
