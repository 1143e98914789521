"""Accounts for every body that was planned, from the files and not from the counts."""

import gzip
import re
from base64 import b64decode
from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from shared.input.envelope import Envelope
from shared.protocol.commit_plan import CommitPlan
from shared.protocol.ledger import StagedFile
from tests.records import TEN
from tests.shared.export.plans import commits

NAME = re.compile(
    r"(parquet/ApiManagementWebSocketConnectionLogs|json/ApiManagementWebSocketConnectionLogs|_dead_letters)"
    r"/date=20\d\d-\d\d-\d\d/hour=\d\d/"
    r"space-logs-0-i0-\d{20}-\d+-(ab){16}(-\d{5})?(\.part)?\.(parquet|jsonl\.gz)"
)
"""The pattern of every file name, whatever the records contain."""
METADATA = re.compile(r"[a-zA-Z0-9/.,:=_+-]*")
HOURS = 7 * 24 + 2
"""The hours that a record's time may be in, if all envelopes arrive in one hour."""


def account(bodies: Sequence[bytes]) -> list[CommitPlan]:
    """Plans commits of these bodies, checks everything that must hold, and returns the commits."""
    envelopes = [Envelope(number, TEN, body) for number, body in enumerate(bodies)]
    made = commits([envelopes])
    rows: Counter[tuple[int, int]] = Counter()
    lines: Counter[tuple[int, int]] = Counter()
    letters: dict[int, dict[str, Any]] = {}
    for one in made:
        folders = Counter(file.pending.name.partition("/")[0] for file in one.files)
        assert all(number <= HOURS for number in folders.values()), folders
        for file in one.files:
            _named(file)
            if file.pending.name.startswith("_"):
                for line in gzip.decompress(file.data).splitlines():
                    letter = orjson.loads(line)
                    assert letters.setdefault(letter["sequence"], letter) is letter
            elif file.pending.name.endswith(".parquet"):
                table = pq.ParquetFile(pa.BufferReader(file.data)).read(["_SequenceNumber", "_RecordIndex"])
                rows.update(zip(*(column.to_pylist() for column in table.columns), strict=True))
            else:
                found = (orjson.loads(line) for line in gzip.decompress(file.data).splitlines())
                lines.update((row["_SequenceNumber"], row["_RecordIndex"]) for row in found)
    assert rows == lines
    assert set(rows.values()) <= {1}
    rejected = {sequence: sum(letter["counts"].values()) for sequence, letter in letters.items()}
    counts = [one.counts for one in made]
    assert sum(one.envelopes for one in counts) == len(bodies)
    assert sum(one.rows for one in counts) == rows.total()
    assert sum(sum(one.rejected.values()) for one in counts) == sum(rejected.values())
    skipped = sum(one.skipped for one in counts)
    assert sum(one.records for one in counts) == rows.total() + sum(rejected.values()) + skipped
    for sequence, letter in letters.items():
        assert body_of(letter) == bodies[sequence]
        indexes = {index for first, last in letter["rejected_indexes"] for index in range(first, last + 1)}
        assert rejected[sequence] == (len(indexes) or 1)
        assert not any((sequence, index) in rows for index in indexes)
        assert all(text.isascii() and text.isprintable() for text in _texts(letter))
    of = Counter(sequence for sequence, _ in rows)
    known = [_elements(body) for body in bodies]
    for sequence, number in enumerate(known):
        if number is not None:
            assert of[sequence] + rejected.get(sequence, 0) <= number
    if None not in known:
        assert sum(one.records for one in counts) == sum(filter(None, known))
    return made


def body_of(letter: dict[str, Any]) -> bytes:
    """Returns an envelope's body from its dead letter."""
    return b64decode(letter["body_base64"]) if "body_base64" in letter else letter["body"].encode()


def _elements(body: bytes) -> int | None:
    """Returns the number of records of a body in the documented form, or None."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    once = body.lower().count(b'records"') == 1 and b'"[' not in body and b'"{' not in body
    documented = type(value) is dict and type(value.get("records")) is list and once
    return len(value["records"]) if documented else None


def _named(file: StagedFile) -> None:
    assert NAME.fullmatch(file.pending.name), file.pending.name
    for key, value in file.pending.metadata.items():
        assert METADATA.fullmatch(key + value), (key, value)


def _texts(letter: dict[str, Any]) -> list[str]:
    return [each["message"] + each["pointer"] + each["reason"] for each in letter["rejections"]]
