"""Builds envelope bodies: how records are assembled and encoded, including bodies that cannot be parsed."""

import gzip
import json
from collections.abc import Callable, Sequence

import orjson

from local.traffic.records import Json

type Container = Callable[[Sequence[Json]], bytes]


def documented(records: Sequence[Json]) -> bytes:
    """`{"records": [...]}`."""
    return orjson.dumps({"records": records})


def _outer_array(records: Sequence[Json]) -> bytes:
    cut = (len(records) + 1) // 2
    stamp = "2030-01-02T03:04:05.0000000Z"
    return orjson.dumps(
        [{"records": part, "EventProcessedUtcTime": stamp} for part in (records[:cut], records[cut:])]
    )


def _bare_array(records: Sequence[Json]) -> bytes:
    return orjson.dumps(records)


def _bare_record(records: Sequence[Json]) -> bytes:
    (record,) = records
    return orjson.dumps(record)


def _lines(records: Sequence[Json]) -> bytes:
    return b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records)


def _many_lines(records: Sequence[Json]) -> bytes:
    return json.dumps({"records": records}, indent=2).encode()


CONTAINERS: dict[str, Container] = {
    "documented": documented,
    "outer_array": _outer_array,
    "bare_array": _bare_array,
    "bare_record": _bare_record,
    "lines": _lines,
    "many_lines": _many_lines,
}


ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda body: body,
    "gzip": lambda body: gzip.compress(body, compresslevel=1, mtime=0),
    "byte_order_mark": lambda body: b"\xef\xbb\xbf" + body,
    "leading_space": lambda body: b" \r\n" * 50 + body,
}

EMPTY = b'{"records":[]}'

UNREADABLE: tuple[Callable[[bytes], bytes], ...] = (
    lambda body: body.decode().encode("utf-16"),
    lambda _: b'{"records":[',
    lambda _: b"not JSON at all",
    lambda body: gzip.compress(body, mtime=0)[:-12],
    lambda _: b"",
    lambda _: b'{"records":"none"}',
)
"""Functions that each turn the body of a documented envelope into one that cannot be read."""
