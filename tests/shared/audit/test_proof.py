"""Each way in which commits and ledger can disagree has a finding, and agreement has none."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from shared.audit.evidence import Commit, Finding, Level
from shared.audit.proof import GAPS, prove
from shared.protocol.ledger import Counts, Ledger, Lost
from tests.shared.audit.made import altered, committed, kinds

LEDGER, COMMITS = committed()
FIRST, SECOND, THIRD = COMMITS


def proven(ledger: Ledger = LEDGER, commits: Sequence[Commit] = COMMITS) -> list[Finding]:
    return list(prove(ledger, commits, None, 0))


def counted(**counts: int) -> Ledger:
    return LEDGER.model_copy(update={"counts": LEDGER.counts.model_copy(update=counts)})


def living(**incarnation: object) -> Ledger:
    return LEDGER.with_incarnation(LEDGER.incarnation.model_copy(update=incarnation))


def test_a_ledger_and_commits_that_agree_have_no_findings() -> None:
    assert proven() == []
    assert proven(commits=COMMITS[::-1]) == []


@pytest.mark.parametrize(
    "ledger",
    [counted(records=29), counted(records=31), counted(envelopes=29), counted(envelopes=31), living(next=29)],
)
def test_a_ledger_must_agree_with_itself(ledger: Ledger) -> None:
    assert "unbalanced" in kinds(proven(ledger))


@pytest.mark.parametrize(("quarantined", "found"), [(0, True), (1, True), (2, False)])
def test_envelopes_of_a_deleted_hub_have_no_sequence_numbers(quarantined: int, *, found: bool) -> None:
    rejected = {"older_incarnation": quarantined, "malformed_record": 3 - quarantined}
    counts = Counts(**LEDGER.counts.model_dump() | {"envelopes": 32, "rejected": rejected})
    assert ("unbalanced" in kinds(proven(LEDGER.model_copy(update={"counts": counts})))) is found


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda: replace(SECOND, files=3), "too_many_files"),
        (lambda: replace(SECOND, lines=8), "rows_differ"),
        (lambda: replace(SECOND, lines=10), "rows_differ"),
        (lambda: replace(SECOND, rows={"parquet": 7}), "rows_differ"),
        (lambda: replace(SECOND, rows={}), "rows_differ"),
        (lambda: altered(SECOND, formats="parquet,json"), "rows_differ"),
        (lambda: replace(SECOND, rejected=0), "rejections_differ"),
        (lambda: altered(SECOND, envelopes_before=11), "counts_differ"),
        (lambda: altered(SECOND, envelopes_before=9), "counts_differ"),
        (lambda: altered(SECOND, skipped_before=2), "counts_differ"),
        (
            lambda: altered(
                SECOND, sequences="10-18", commit_skipped=2, envelopes_before=11, skipped_before=0
            ),
            "counts_differ",
        ),
        (lambda: altered(SECOND, rejected_before=2), "counts_differ"),
        (lambda: altered(SECOND, sequences="9-18"), "overlap"),
        (lambda: altered(SECOND, sequences="0"), "overlap"),
        (lambda: altered(THIRD, sequences="20-30"), "outside"),
        (lambda: replace(SECOND, digests=[]), "altered"),
    ],
)
def test_each_difference_has_its_finding(change: Callable[[], Commit], code: str) -> None:
    changed = change()
    chain = [changed if one.metadata.ordinal == changed.metadata.ordinal else one for one in COMMITS]
    assert code in kinds(proven(commits=chain))


def test_an_overlap_is_named_by_sequence_number_and_files() -> None:
    second = altered(SECOND, sequences="9-18")
    (finding,) = [one for one in proven(commits=[FIRST, second, THIRD]) if one.code == "overlap"]
    assert finding.message.startswith(
        f"sequence 9 is in {FIRST.metadata.name} and in {second.metadata.name}:"
    )


def test_envelopes_without_files_may_add_skipped_records() -> None:
    ledger = living(next=31)
    counts = ledger.counts.model_copy(update={"envelopes": 31, "records": 31, "skipped": 4})
    (finding,) = proven(ledger.model_copy(update={"counts": counts}))
    assert (finding.level, finding.code) == (Level.NOTE, "no_trace")
    assert finding.message.startswith("1 envelope left no file")


def test_the_same_sequence_number_in_two_incarnations_is_no_overlap() -> None:
    ledger = LEDGER.with_new_incarnation(1)
    ledger = ledger.with_incarnation(ledger.incarnation.model_copy(update={"next": 10}))
    ledger = ledger.model_copy(update={"past": (ledger.past[0].model_copy(update={"next": 20}),)})
    chain = [FIRST, SECOND, altered(THIRD, incarnation=1, sequences="0-9")]
    assert proven(ledger, chain) == []
    twice = [FIRST, altered(SECOND, incarnation=1, sequences="9"), chain[2]]
    assert "overlap" in kinds(proven(ledger, twice))


@pytest.mark.parametrize("sequence", [10, 15, 19])
def test_a_sequence_number_in_a_gap_was_not_committed(sequence: int) -> None:
    ledger = living(gaps=((sequence, sequence),))
    (finding,) = [one for one in proven(ledger) if one.code == "outside"]
    assert finding.message.startswith(SECOND.name)


@pytest.mark.parametrize("number", [1, GAPS, GAPS + 1])
def test_gaps_are_noted_and_only_some_are_listed(number: int) -> None:
    ledger = living(next=30 + 3 * number, gaps=tuple((30 + 3 * n, 32 + 3 * n) for n in range(number)))
    (finding,) = proven(ledger)
    assert (finding.level, finding.code) == (Level.NOTE, "gaps")
    assert finding.message.startswith(f"{3 * number} sequence numbers of incarnation 0 never arrived: 30-32")
    assert finding.message.endswith("…") is (number > GAPS)


def test_lost_rows_are_refuted_and_their_files_not_counted() -> None:
    lost = (Lost(folder="f/", incarnation=0, sequences=((3, 4), (7, 7))),)
    ledger = counted(lost=1).model_copy(update={"lost": lost})
    (finding,) = proven(ledger, [replace(FIRST, files=1, lines=0, rows={}), SECOND, THIRD])
    assert (finding.level, finding.code) == (Level.REFUTED, "lost")
    assert "f/: sequences 3-4, 7-7 are lost" in finding.message


@pytest.mark.parametrize(("rows", "found"), [(7, ["rows_differ"]), (8, [])])
def test_refilled_rows_must_add_up(rows: int, found: list[str]) -> None:
    chain = [replace(FIRST, files=1, lines=8, rows={"parquet": rows}), SECOND, THIRD]
    assert kinds(proven(counted(lost=1), chain)) == found


def test_unpublished_files_leave_the_proof_unclear() -> None:
    chain = [FIRST, SECOND, replace(THIRD, files=1, unpublished=1, lines=1, rows={})]
    (finding,) = proven(commits=chain)
    assert (finding.level, finding.code) == (Level.UNCLEAR, "unpublished")
    assert finding.message.startswith("1 committed file is not")


def test_files_that_cannot_be_read_are_not_compared() -> None:
    assert proven(commits=[FIRST, replace(SECOND, whole=False, lines=0, rows={}), THIRD]) == []


@pytest.mark.parametrize(("partition", "found"), [("archive/a/2026-02", []), ("ns/hub/0~1", ["replay"])])
def test_replays_and_archives_have_gaps_by_design(partition: str, found: list[str]) -> None:
    ledger, commits = committed(partition=partition)
    life = ledger.incarnation.model_copy(update={"next": 40, "gaps": ((30, 39),)})
    assert kinds(prove(ledger.with_incarnation(life), commits, None, 0)) == found
