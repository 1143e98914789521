"""A commit makes all of its envelopes visible, counts them, and depends on its inputs only."""

import gzip
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.input.envelope import Envelope
from shared.intervals import intervals
from shared.policies import ExportPolicy
from tests.records import PARTITION, TEN
from tests.shared.export.plans import (
    STAMP,
    commits,
    envelope,
    make,
    record,
    rows,
)

BATCH = [
    envelope(0, record("a"), record("b", 61)),
    envelope(1, {"category": "GatewayLogs"}, record("c")),
    envelope(2),
    Envelope(3, TEN, b"not json"),
    envelope(
        4, record("d"), {"category": "WebSocketConnectionLogs", "time": "2026-11-20T10:00:00Z"}, record("e")
    ),
]


def test_every_record_is_a_row_a_rejection_or_skipped() -> None:
    commit = make(BATCH)
    assert commit
    counts = commit.counts
    assert (counts.envelopes, counts.records, counts.rows, counts.skipped) == (5, 8, 5, 1)
    assert counts.rejected == {"missing_required_field": 1, "unreadable_envelope": 1}
    assert commit.ledger.counts == counts


def test_files_are_stored_by_hour_and_dead_letters_by_arrival() -> None:
    commit = make(BATCH)
    assert commit
    assert sorted(file.pending.name.rpartition("/")[0] for file in commit.files) == [
        "_dead_letters/date=2026-11-20/hour=10",
        "json/ApiManagementWebSocketConnectionLogs/date=2026-11-20/hour=08",
        "json/ApiManagementWebSocketConnectionLogs/date=2026-11-20/hour=10",
        "parquet/ApiManagementWebSocketConnectionLogs/date=2026-11-20/hour=08",
        "parquet/ApiManagementWebSocketConnectionLogs/date=2026-11-20/hour=10",
    ]


def test_the_metadata_of_a_file_names_its_content_and_commit() -> None:
    commit = make(BATCH)
    assert commit
    for file in commit.files:
        metadata = file.pending.metadata
        assert intervals(metadata["sequences"]) == ((0, 4),)
        assert metadata["commit_files"] == "5"
        assert metadata["ordinal"] == "1"
        assert metadata["partition"] == str(PARTITION)
        assert metadata["commit_id"] in file.pending.name
        assert file.pending.block_ids[0].startswith(STAMP.commit_id)
        assert sum(len(key) + len(value) for key, value in metadata.items()) < 8192
    parquet = next(file for file in commit.files if file.pending.name.startswith("parquet/"))
    assert parquet.pending.metadata["rows"] == str(pq.read_metadata(pa.BufferReader(parquet.data)).num_rows)


def test_both_formats_hold_the_same_rows() -> None:
    commit = make(BATCH)
    assert commit
    lines = [
        orjson.loads(line)
        for file in commit.files
        if file.pending.name.startswith("json/")
        for line in gzip.decompress(file.data).splitlines()
    ]
    assert sorted(one["CorrelationId"] for one in lines) == [row["CorrelationId"] for row in rows([commit])]


def test_the_same_plan_gives_the_same_bytes() -> None:
    first, second = make(BATCH), make(BATCH)
    assert first
    assert second
    assert first == second


def test_committed_envelopes_need_no_further_commit() -> None:
    commit = make(BATCH)
    assert commit
    assert make(BATCH, commit.ledger) is None


def test_a_commit_without_files_advances_the_ledger() -> None:
    commit = make([envelope(0), envelope(1, {"category": "GatewayLogs"})])
    assert commit
    assert commit.files == ()
    assert commit.segment is None
    assert commit.ledger.incarnation.next == 2
    assert commit.ledger.counts.skipped == 1


def test_a_batch_is_cut_into_commits_between_envelopes() -> None:
    batch = [envelope(n, *(record(f"{n}-{i}") for i in range(5))) for n in range(7)]
    made = commits([batch], policy=ExportPolicy(commit_bytes=2 * len(batch[0].body)))
    assert [one.counts.envelopes for one in made] == [2, 2, 2, 1]
    assert [one.counts.rows for one in made] == [10, 10, 10, 5]


def test_one_envelope_may_be_larger_than_a_commit() -> None:
    made = commits(
        [[envelope(0, *(record(str(i)) for i in range(50)))]], policy=ExportPolicy(commit_bytes=10)
    )
    assert [one.counts.rows for one in made] == [50]


def test_an_envelope_of_a_deleted_hub_becomes_a_dead_letter() -> None:
    (first,) = commits([[envelope(0, record("a"))]])
    renewed = first.ledger.with_new_incarnation(TEN + 3_600_000_000)
    late = envelope(1, record("late"))
    commit = make([late], renewed)
    assert commit
    assert commit.counts.rejected == {"older_incarnation": 1}
    (file,) = commit.files
    assert file.pending.name.startswith("_dead_letters/")
    (letter,) = (orjson.loads(line) for line in gzip.decompress(file.data).splitlines())
    assert letter["body"].encode() == late.body
    assert (letter["sequence"], letter["incarnation"]) == (1, 0)
    assert make([late], commit.ledger) is None


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 10)), max_size=12), st.integers(1, 3000))
def test_rows_do_not_depend_on_batches_redelivery_and_commit_sizes(
    deliveries: list[tuple[int, int]], size: int
) -> None:
    hub = [
        envelope(n, *(record(f"{n}-{i}", 61 * (i % 2)) for i in range(n % 3)), *([7] if n == 4 else ()))
        for n in range(10)
    ]
    clean = commits([hub])
    order = [hub[start : start + length] for start, length in deliveries]
    # As in production, a later batch skips events or repeats them; the last delivery has all.
    made = commits([*order, hub], policy=ExportPolicy(formats=("parquet",), commit_bytes=size))
    assert rows(made) == rows(clean)
    assert made[-1].ledger.counts.rejected == clean[-1].ledger.counts.rejected
    assert made[-1].ledger.counts.records == clean[-1].ledger.counts.records


BODIES = st.one_of(
    st.binary(max_size=60),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["records", "time", "category", "correlationId", "properties", "eventName", "x"]
                ),
                inner | st.sampled_from(["WebSocketConnectionLogs", "2026-11-20T10:00:00Z", "id"]),
                max_size=6,
            )
        ),
        max_leaves=25,
    ).map(lambda value: orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS) if fits(value) else b"\xff"),
)


def fits(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


@given(st.lists(BODIES, min_size=1, max_size=6))
def test_any_input_is_accounted_for_without_an_error(bodies: list[bytes]) -> None:
    (commit,) = commits([[Envelope(n, TEN, body) for n, body in enumerate(bodies)]])
    counts = commit.counts
    assert counts.envelopes == len(bodies)
    assert counts.records == counts.rows + counts.skipped + sum(counts.rejected.values())


@pytest.mark.parametrize("identity", ["../../x", "a/b\\c", "date=1", "\0", "x" * 5000])
def test_nothing_from_a_record_reaches_a_path_or_metadata(identity: str) -> None:
    commit = make([envelope(0, record(identity, resourceId=identity, location=identity))])
    assert commit
    for file in commit.files:
        assert identity not in file.pending.name
        assert identity not in str(file.pending.metadata)
