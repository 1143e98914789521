"""Lost rows are exported again into their folder, once."""

import gzip
from datetime import timedelta

import orjson

from shared.policies import ExportPolicy
from shared.protocol.commit_plan import CommitPlan
from shared.protocol.ledger import Ledger, Lost, StagedFile
from tests.records import TEN
from tests.shared.export.plans import (
    commits,
    envelope,
    make,
    record,
    rows,
)


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
