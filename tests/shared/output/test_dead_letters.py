"""A dead letter keeps its envelope."""

from base64 import b64decode
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from shared.input.envelope import Envelope
from shared.input.rejections import Reason, Rejected, Rejection
from shared.output import dead_letters
from shared.policies import ExportPolicy
from tests.records import PARTITION
from tests.shared.output.made import lines

REJECTION = st.builds(
    Rejection, st.sampled_from(Reason), st.text(), st.none() | st.integers(0, 99), st.sampled_from(["", "/a"])
)


REJECTED = st.builds(
    Rejected,
    st.builds(
        Envelope, st.integers(0, 2**62), st.integers(0, 2**52), st.binary() | st.text().map(str.encode)
    ),
    st.lists(REJECTION, max_size=3).map(tuple),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=3).map(tuple),
    st.dictionaries(st.sampled_from(Reason), st.integers(0, 2**40)),
)


@given(st.lists(REJECTED, max_size=4))
def test_a_dead_letter_restores_its_envelope_byte_for_byte(rejected: list[Rejected]) -> None:
    encoded = dead_letters.encode(rejected, PARTITION, 2, ExportPolicy())
    assert encoded == dead_letters.encode(rejected, PARTITION, 2, ExportPolicy())
    found = lines(encoded)
    assert len(found) == len(rejected)
    for line, one in zip(found, rejected, strict=True):
        body = line["body"].encode() if "body" in line else b64decode(line["body_base64"], validate=True)
        assert ("body" in line) != ("body_base64" in line)
        enqueued = (
            datetime.fromisoformat(line["enqueued"]) - datetime(1970, 1, 1, tzinfo=UTC)
        ).total_seconds()
        assert body == one.envelope.body
        assert (line["partition"], line["sequence"], line["incarnation"]) == (
            str(PARTITION),
            one.envelope.sequence,
            2,
        )
        assert round(enqueued * 1_000_000) == one.envelope.enqueued
        assert line["rejections"] == [
            {"index": each.index, "reason": each.reason, "pointer": each.pointer, "message": each.message}
            for each in one.rejections
        ]
        assert line["rejected_indexes"] == [list(interval) for interval in one.indexes]
        assert line["counts"] == one.counts


def test_text_stays_readable_in_a_dead_letter() -> None:
    rejection = Rejection(Reason.UNREADABLE_ENVELOPE, "expected JSON")
    body = "\ufeffgeöffnet\0".encode()
    one = Rejected(Envelope(1, 0, body), (rejection,), (), {rejection.reason: 1})
    (line,) = lines(dead_letters.encode([one], PARTITION, 0, ExportPolicy()))
    assert line["body"] == "\ufeffgeöffnet\0"
    assert line["enqueued"] == "1970-01-01T00:00:00.000000Z"
