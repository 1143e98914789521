"""A commit makes all of its envelopes visible, counts them, and depends on its inputs only."""

import gzip
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.connections.observations import UNKNOWN
from shared.export import plan
from shared.input.envelope import Envelope
from shared.intervals import intervals
from shared.policies import ExportPolicy
from shared.protocol.commit_plan import CommitPlan
from shared.protocol.ledger import Ledger, Lost, StagedFile
from shared.protocol.stamp import Stamp
from shared.timeunits import MINUTE
from tests import records
from tests.records import PARTITION, TEN

STAMP = Stamp("ab" * 16, TEN)
EMPTY = Ledger(ledger_id="l", partition=str(PARTITION))
BOTH = ExportPolicy(formats=("parquet", "json"))
DERIVED = {"ConnectionStartTime", "ConnectionDurationMs", "ConnectionArrivalDurationMs"}


class Nothing:
    """Knows no start times."""

    def earliest(self, observations: pa.Table) -> Any:
        return (np.full(observations.num_rows, UNKNOWN),) * 2


def record(identity: str, minutes: int = 0, **more: Any) -> dict[str, Any]:
    at = TEN - minutes * MINUTE
    return records.record(at, identity, **{"resourceId": records.RESOURCE} | more)


def envelope(sequence: int, *of: Any) -> Envelope:
    return records.envelope(sequence, TEN, *of)


def make(
    envelopes: Sequence[Envelope], ledger: Ledger = EMPTY, policy: ExportPolicy = BOTH
) -> CommitPlan | None:
    return plan.plan_commit(PARTITION, envelopes, ledger, Nothing(), policy, STAMP)


def commits(
    batches: Iterable[Sequence[Envelope]], ledger: Ledger = EMPTY, policy: ExportPolicy = BOTH
) -> list[CommitPlan]:
    """Returns all commits of these batches, one after the other."""
    made = []
    for batch in batches:
        while commit := make(batch, ledger, policy):
            made.append(commit)
            ledger = commit.ledger
    return made


def rows(made: Iterable[CommitPlan]) -> list[dict[str, Any]]:
    """Returns the rows of the Parquet files in order, without columns that depend on known start times."""
    tables = [
        pq.read_table(pa.BufferReader(file.data))
        for one in made
        for file in one.files
        if file.pending.name.startswith("parquet/")
    ]
    found = [row for table in tables for row in table.to_pylist()]
    found.sort(key=lambda row: (row["_SequenceNumber"], row["_RecordIndex"]))
    return [{name: value for name, value in row.items() if name not in DERIVED} for row in found]


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


def test_a_lost_file_is_refilled_with_only_its_rows() -> None:
    batch = [
        envelope(0, record("a"), record("b", 61)),
        envelope(1, record("c", 61)),
        envelope(2, record("d")),
    ]
    (first,) = commits([batch])
    folder = "parquet/ApiManagementWebSocketConnectionLogs/date=2026-11-20/hour=08/"
    lossy = first.ledger.model_copy(
        update={"lost": (Lost(folder=folder, incarnation=0, sequences=((0, 2),)),)}
    )
    commit = make(batch[:1], lossy)
    assert commit
    (file,) = commit.files
    assert file.pending.name.startswith(folder)
    assert [row["CorrelationId"] for row in rows([commit])] == ["b"]
    assert commit.segment is None
    assert commit.ledger.counts.rows == first.ledger.counts.rows
    assert commit.ledger.lost[0].sequences == ((1, 2),)
    rest = make(batch, commit.ledger)
    assert rest
    assert [row["CorrelationId"] for row in rows([rest])] == ["c"]
    assert rest.ledger.lost == ()


def test_lost_rows_that_no_longer_pass_become_dead_letters() -> None:
    """RECORD_MAX_AGE was shortened in the meantime."""
    batch = [envelope(0, record("a"), record("b", 61)), envelope(1, record("c", 61))]
    (first,) = commits([batch])
    folder = "parquet/ApiManagementWebSocketConnectionLogs/date=2026-11-20/hour=08/"
    lossy = first.ledger.model_copy(
        update={"lost": (Lost(folder=folder, incarnation=0, sequences=((0, 1),)),)}
    )
    commit = make(batch, lossy, ExportPolicy(max_age=timedelta(minutes=30)))
    assert commit
    (file,) = commit.files
    letters = [orjson.loads(line) for line in gzip.decompress(file.data).splitlines()]
    assert file.pending.name.startswith("_dead_letters/")
    assert [(one["sequence"], one["rejected_indexes"]) for one in letters] == [(0, [[1, 1]]), (1, [[0, 0]])]
    assert all("file that is lost" in one["rejections"][0]["message"] for one in letters)
    counts = commit.ledger.counts
    assert (counts.rows, counts.rejected) == (1, {"implausible_time": 2})
    assert counts.records == counts.rows + sum(counts.rejected.values()) + counts.skipped
    assert commit.ledger.lost == ()


def test_refilling_a_file_twice_duplicates_nothing() -> None:
    parquet = ExportPolicy(formats=("parquet",))
    batch = [envelope(n, record(f"{n}a"), record(f"{n}b", 61)) for n in range(2)]
    first, second = commits([[one] for one in batch], policy=parquet)

    def lost(ledger: Ledger, *files: StagedFile) -> Ledger:
        listed = tuple(file.pending for file in files)
        return ledger.model_copy(update={"files": listed}).with_lost(listed, "c" * 32, TEN)

    def refilled(ledger: Ledger) -> tuple[list[CommitPlan], list[str]]:
        made = commits([batch], ledger, parquet)
        return made, [row["CorrelationId"] for row in rows(made)]

    # Each commit published a different hour.
    made, ids = refilled(
        lost(
            second.ledger,
            max(first.files, key=lambda file: file.pending.name),
            min(second.files, key=lambda file: file.pending.name),
        )
    )
    assert ids == ["0a", "1b"]
    again = lost(made[-1].ledger, *(file for one in made for file in one.files))
    assert refilled(again)[1] == ids


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
