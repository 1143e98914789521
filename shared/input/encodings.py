"""Names the encodings and formats that a body may have instead of JSON as UTF-8 text."""

import re
import zlib
from base64 import b64decode

_MAGIC = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
    b"{\0\0\0": "UTF-32",
    b"[\0\0\0": "UTF-32",
    b"\0\0\0{": "UTF-32",
    b"\0\0\0[": "UTF-32",
    b"{\0": "UTF-16",
    b"[\0": "UTF-16",
    b"\0{": "UTF-16",
    b"\0[": "UTF-16",
    b"PK\x03\x04": "a ZIP archive",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x04\x22\x4d\x18": "LZ4",
    b"\xff\x06\0\0sNaPpY": "Snappy",
    b"Obj\x01": "Avro",
    b"PAR1": "Parquet",
    b"<?xml": "XML",
    b"%7B": "percent-encoded text",
    b"%5B": "percent-encoded text",
}
"""The first bytes of each encoding or format."""
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,64}")
_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*[{\[]|\x1f\x8b|\x78[\x01\x5e\x9c\xda]")


def named(text: bytes) -> str | None:
    """Returns the encoding or format of text that is not JSON, or None if it is unknown."""
    for magic, name in _MAGIC.items():
        if text.startswith(magic):
            return name
    if text[:1] == b"\x78" and int.from_bytes(text[:2]) % 31 == 0:
        try:
            zlib.decompressobj().decompress(text[:512], 64)
        except zlib.error:
            pass
        else:
            return "zlib"
    found = _BASE64.match(text.lstrip())
    if found:
        start = found[0].translate(bytes.maketrans(b"-_", b"+/"))
        if _JSON.match(b64decode(start[: len(start) // 4 * 4])):
            return "base64"
    return None
