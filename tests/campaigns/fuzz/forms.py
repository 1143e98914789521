"""Hostile bodies of any size, one function for each form; as a program, measures their memory.

`python -m tests.campaigns.fuzz.forms MIB FORM…` exports one compressed body of each form, which inflates to
MIB MiB, in a separate process, and prints the form, the additional peak memory (bytes) and the rejections.
"""

import gzip
import json
import os
import random
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from shared.export import plan
from shared.input.envelope import Envelope
from shared.policies import ExportPolicy
from shared.protocol.commit_plan import CommitPlan
from tests.records import PARTITION, TEN
from tests.shared.export.plans import EMPTY, STAMP, Nothing, record

MIB = 1 << 20
GOOD = orjson.dumps(record("a"))
MINIMAL = b'{"time":"2026-11-20T09:00:00Z","correlationId":"a","eventName":"b"}'
_OPENING, _TAIL = b'{"records":[', b"]}"


def _repeated(one: bytes, size: int, *, opening: bytes = _OPENING, tail: bytes = _TAIL) -> bytes:
    """As many copies of one piece as fit, before a good record."""
    return opening + one * ((size - len(opening) - len(GOOD) - len(tail)) // len(one)) + GOOD + tail


def _numbered(make: Callable[[int], bytes], size: int) -> bytes:
    """Records that all differ."""

    def all_of_them() -> Iterator[bytes]:
        left, number = size - len(_OPENING + GOOD + _TAIL), 0
        while (left := left - len(one := make(number))) >= 0:
            yield one
            number += 1

    return _OPENING + b"".join(all_of_them()) + GOOD + _TAIL


def _with(member: bytes) -> bytes:
    return GOOD[:-1] + b"," + member + b"}"


def _value(name: str, value: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Returns a form in which one member of one record is as long as the body."""
    return lambda size: (
        _OPENING + _with(b'"' + name.encode() + b'":' + value(size - 400)) + b"," + GOOD + _TAIL
    )


def _text(letter: bytes) -> Callable[[int], bytes]:
    return lambda size: b'"' + letter * ((size - 2) // len(letter)) + b'"'


def _numbers(number: bytes) -> Callable[[int], bytes]:
    return lambda size: b"[" + (number + b",") * ((size - 3) // (len(number) + 1)) + b"1]"


def _unique(size: int) -> bytes:
    return b"{" + b",".join(b'"%x":1' % number for number in range((size - 2) // 12)) + b"}"


FORMS: dict[str, Callable[[int], bytes]] = {
    "lines_of_2": lambda size: b"xy\n" * (size // 3 - 200) + GOOD,
    "lines_of_1": lambda size: b"x\n" * (size // 2 - 200) + GOOD,
    "lines_of_8": lambda size: b"abcdefgh\n" * (size // 9 - 60) + GOOD,
    "lines_of_nothing": lambda size: b"xy\n" * (size // 3),
    "lines_of_objects": lambda size: b"{}\n" * (size // 3),
    "lines_of_arrays": lambda size: b"[1]\n" * (size // 4),
    "lines_of_envelopes": lambda size: (_OPENING + GOOD + _TAIL + b"\n") * (size // (len(GOOD) + 15)),
    "empty_lines": lambda size: b"\n" * size,
    "integers": lambda size: _repeated(b"1,", size),
    "integers_a_few": lambda size: _repeated(b"1,", size // 16),
    "texts": lambda size: _repeated(b'"ab",', size),
    "texts_some": lambda size: _repeated(b'"ab",', size // 2),
    "empty_arrays": lambda size: _repeated(b"[],", size),
    "empty_objects": lambda size: _repeated(b"{},", size),
    "empty_objects_a_few": lambda size: _repeated(b"{},", size // 12),
    "empty_envelopes": lambda size: _repeated(b'{"records":[]},', size, opening=b"[", tail=b"]"),
    "minimal": lambda size: _repeated(MINIMAL + b",", size),
    "minimal_half": lambda size: _repeated(MINIMAL + b",", size // 2),
    "typical": lambda size: _repeated(GOOD + b",", size),
    "typical_ids": lambda size: _numbered(
        lambda n: GOOD.replace(b'"a"', b'"%032x"' % (n * 7919)) + b",", size
    ),
    "typical_cut": lambda size: _repeated(GOOD + b",", size)[:-1],
    "nested": lambda size: _repeated(MINIMAL[:-1] + b',"q":{"x":[1.5,2]}},', size),
    "shapes": lambda size: _numbered(lambda n: _with(b'"%08x":1' % n) + b",", size),
    "shapes_of_nothing": lambda size: _numbered(lambda n: b'{"%08x":1},' % n, size),
    "shapes_of_nothing_some": lambda size: _numbered(lambda n: b'{"%08x":1},' % n, size // 8),
    "long_keys": lambda size: _numbered(lambda n: _with(b'"%s%08x":1' % (b"k" * 1000, n)) + b",", size),
    "deep_arrays": lambda size: _repeated(b"[" * 200 + b"]" * 200 + b",", size),
    "deep_objects": lambda size: _repeated(b'{"a":' * 200 + b"1" + b"}" * 200 + b",", size),
    "keys": lambda size: _OPENING + _with(_unique(size - 400)[1:-1]) + _TAIL,
    "keys_some": lambda size: _OPENING + _with(_unique(size // 4)[1:-1]) + _TAIL,
    "values_of_4000": lambda size: _repeated(_with(b'"q":"' + b"y" * 4000 + b'"') + b",", size),
    "values_of_1000": lambda size: _repeated(_with(b'"q":"' + b"y" * 1000 + b'"') + b",", size),
    "rest_of_text": _value("q", _text(b"x")),
    "rest_of_half": lambda size: _value("q", _text(b"x"))(size // 2),
    "rest_of_escapes": _value("q", _text(b"\\u007b\\n")),
    "rest_of_emoji": _value("q", lambda size: b'"\xf0\x9f\x98\x80' + b"x" * (size - 6) + b'"'),
    "rest_of_emoji_third": lambda size: _value(
        "q", lambda size: b'"\xf0\x9f\x98\x80' + b"x" * (size - 6) + b'"'
    )(size // 3),
    "rest_of_integers": _value("q", _numbers(b"1")),
    "rest_of_floats": lambda size: _value("q", _numbers(b"1.5"))(size // 2),
    "properties_of_braces": _value("properties", _text(b"\\u007b")),
    "properties_of_objects": _value(
        "properties",
        lambda size: b'"[' + b"\\u007b\\u0022a\\u0022:1\\u007d\\u002c" * (size // 33 - 1) + b'1]"',
    ),
    "properties_of_commas": _value(
        "properties",
        lambda size: b'"{\\u0022a\\u0022:[' + b"1\\u002c" * (size // 7 - 8) + b'1]}"',
    ),
    "resource_id": _value("resourceId", lambda size: b'"/subscriptions/' + b"x" * (size - 20) + b'"'),
    "resource_id_half": lambda size: _value(
        "resourceId", lambda size: b'"/subscriptions/' + b"x" * (size - 20) + b'"'
    )(size // 3),
    "correlation_id_half": lambda size: _value("correlationId", _text(b"x"))(size // 3),
    "malformed": lambda size: _repeated(b'{"a":NaN},', size),
    "malformed_ours": lambda size: _repeated(_with(b'"a":NaN') + b",", size),
    "malformed_open": lambda size: _repeated(_with(b'"a":{"b":1}')[:-1] + b",", size),
    "malformed_quote": lambda size: _repeated(_with(b'"a":"b') + b",", size),
    "malformed_starts": lambda size: _repeated(b'{"a":NaN,{"a":', size),
    "malformed_nested": lambda size: _repeated(b'{"category":[{"a":', size),
    "malformed_envelopes": lambda size: _repeated(b'{"a":1,"records":[', size),
    "malformed_single_quotes": lambda size: _repeated(b"{'a':'b'},", size),
    "not_separated": lambda size: (_OPENING + GOOD + _TAIL) * (size // (len(GOOD) + 14)),
    "separated_by_rs": lambda size: (b"\x1e" + GOOD + b"\n") * (size // (len(GOOD) + 2)),
    "json_texts": lambda size: (
        b"[" + (orjson.dumps(GOOD.decode()) + b",") * (size // (len(GOOD) + 36)) + b'"{}"]'
    ),
    "long_integers": lambda size: _repeated(_with(b'"a":12345678901234567890') + b",", size),
    "said_once": lambda size: b'{"x":"' + b"y" * 1000 + b'",' + _repeated(MINIMAL + b",", size // 4)[1:],
    "properties_in_single_quotes": lambda size: _repeated(
        GOOD.replace(b'{"eventName":"MessageReceived"}', b"\"{'eventName':'x'}\"") + b",", size
    ),
    "random": lambda size: random.Random(1).randbytes(size),
    "braces": lambda size: b"{" * size,
    "brackets": lambda size: b"[" * size,
    "quotes": lambda size: b'"' * size,
    "open_text": lambda size: b'{"a":"' + b'\\"' * (size // 2 - 3),
    "spaces": lambda size: b" " * size,
}
"""Bodies of at most this many bytes."""


def peak(form: str, most: int) -> dict[str, object]:
    """Returns the bytes of memory that an export of this form takes beyond the process itself. Linux only."""
    body = gzip.compress(FORMS[form](most), 1)
    export(
        gzip.compress(FORMS["typical"](MIB // 4)), most
    )  # what each process allocates once, at its first commit
    # This resets the peak (proc(5), clear_refs), but not free memory that was not returned to the system.
    Path("/proc/self/clear_refs").write_text("5")
    before = _memory("VmRSS")
    made = export(body, most)
    return {"form": form, "peak": _memory("VmHWM") - before, "rejected": made.counts.rejected}


def export(body: bytes, most: int) -> CommitPlan:
    """Returns the outcome for one body that may inflate to this many bytes."""
    policy = ExportPolicy(formats=("parquet", "json"), max_inflated=most)
    made = plan.plan_commit(PARTITION, [Envelope(0, TEN, body)], EMPTY, Nothing(), policy, STAMP)
    assert made
    return made


def _memory(what: str) -> int:
    found = re.search(rf"{what}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) * 1024


def main(most: int, forms: list[str]) -> None:
    """Prints a line of JSON for each form."""
    for form in forms:
        child = os.fork()
        if not child:
            sys.stdout.write(f"{json.dumps(peak(form, most))}\n")
            sys.stdout.flush()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0, form


if __name__ == "__main__":
    main(int(sys.argv[1]) * MIB, sys.argv[2:] or [*FORMS])
