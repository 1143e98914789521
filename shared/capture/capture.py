"""Captures envelopes from the hub, masks them, and saves them as fixtures for this project's tests."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from shared.capture.masking import Masks
from shared.errors import CaptureError
from shared.input import memory_bounds
from shared.input.bodies import records
from shared.input.envelope import Envelope
from shared.input.gzip_bodies import GZIP, inflate
from shared.input.hub_partition import HubPartition
from shared.input.rejections import Unreadable
from shared.input.validation import validate
from shared.policies import ExportPolicy
from shared.tables.registry import names_of, of_categories
from shared.timeunits import DAY

EXPECTED = "expected.json"
PARTITION = HubPartition("captured", "captured", "0")
POLICY = ExportPolicy()


@dataclass(frozen=True, slots=True)
class Wanted:
    """The choice of envelopes to capture, and their maximum number."""

    envelopes: int
    """Maximum number of envelopes."""
    records: int | None = None
    """Maximum number of records."""
    everything: bool = False
    """Whether to include unreadable bodies and bodies without a record of our category."""


@dataclass(slots=True)
class Capture:
    """The captured envelopes, masked. The originals are not kept."""

    wanted: Wanted
    masks: Masks
    days: int = 0
    """Number of days by which the masks shift times."""
    taken: list[Envelope] = field(default_factory=list)
    records: int = 0
    left: Counter[str] = field(default_factory=Counter)
    """Number of envelopes left out, by reason."""

    def take(self, envelope: Envelope) -> bool:
        """Captures an envelope if it is wanted. Returns whether more are wanted."""
        if not self.enough:
            try:
                ours = _ours(envelope.body)
                masked = self.masks.body(envelope.body, POLICY.max_inflated) if self._wants(ours) else None
            except Unreadable:
                ours, masked = 0, None
                self.left["cannot be decompressed, and so cannot be masked"] += 1
            else:
                if masked is None:
                    self.left[f"no record of {' or '.join(POLICY.categories)}"] += 1
            if masked is not None:
                enqueued = envelope.enqueued - self.days * DAY
                self.taken.append(replace(envelope, body=masked, enqueued=enqueued))
                self.records += ours
        return not self.enough

    @property
    def enough(self) -> bool:
        """Whether enough has been captured."""
        wanted = self.wanted
        return len(self.taken) >= wanted.envelopes or (
            wanted.records is not None and self.records >= wanted.records
        )

    def _wants(self, ours: int) -> bool:
        return self.wanted.everything or ours > 0


def prepare(folder: Path) -> None:
    """Checks that the folder is empty and writable. Raises CaptureError: nothing is overwritten."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise CaptureError(f"{folder} is not empty, and nothing is overwritten; name another folder")
    except OSError as error:
        raise CaptureError(f"{folder} cannot be written to: {error.strerror}") from None


def write(folder: Path, envelopes: Sequence[Envelope]) -> list[Path]:
    """Writes each body to a file, and this program's results for them, in the format of the test fixtures."""
    expected: dict[str, Any] = {}
    for number, envelope in enumerate(envelopes, 1):
        name = f"{number:03}.{_kind(envelope.body)}"
        (folder / name).write_bytes(envelope.body)
        expected[name] = {"about": "captured from a hub, and masked", **_expected(envelope)}
    (folder / EXPECTED).write_bytes(orjson.dumps(expected, option=orjson.OPT_INDENT_2))
    return [folder / name for name in (*expected, EXPECTED)]


def _expected(envelope: Envelope) -> dict[str, Any]:
    """Returns this program's current result for an envelope."""
    validated = validate(PARTITION, [envelope], POLICY)
    table = validated.table
    columns = ["_RecordIndex", "_ResourceId", "CorrelationId", "EventName", "TimeGenerated"]
    times = table["TimeGenerated"].cast("int64")
    at = table.schema.get_field_index("TimeGenerated")
    rows = table.set_column(at, "TimeGenerated", times).select(columns).to_pylist()
    return {
        "enqueued": envelope.enqueued,
        "rows": [{"index": row.pop("_RecordIndex"), **row} for row in rows],
        "rejections": [
            {"index": one.index, "reason": one.reason}
            for rejected in validated.rejected
            for one in rejected.rejections
        ],
        "skipped": validated.skipped,
    }


def _ours(body: bytes) -> int:
    """Counts the records of a body that name one of our categories or tables. Raises Unreadable."""
    text = inflate(body, POLICY.max_inflated)
    try:
        found = records(text, memory_bounds.PARSED * POLICY.max_inflated)
    except Unreadable:
        return 0
    ours = names_of(of_categories(POLICY.categories))
    return sum(not ours.isdisjoint(_categories(record)) for record in found)


def _categories(record: object) -> set[str]:
    return set(_values(record)) if isinstance(record, dict) else set()


def _values(record: dict[str, object]) -> Iterator[str]:
    for key, value in record.items():
        if key.lower() in {"category", "type"} and isinstance(value, str):
            yield value.lower()


def _kind(body: bytes) -> str:
    """Returns the file extension for a body: `json`, `jsonl` or `txt`, with `.gz` if it is compressed."""
    text = inflate(body, POLICY.max_inflated)
    try:
        orjson.loads(text.removeprefix(b"\xef\xbb\xbf").strip())
        kind = "json"
    except orjson.JSONDecodeError:
        kind = "jsonl" if b"\n" in text.strip() else "txt"
    return f"{kind}.gz" if body.startswith(GZIP) else kind
