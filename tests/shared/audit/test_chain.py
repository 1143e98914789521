"""The chain of commits shows files that are missing, surplus or altered, and nothing else."""

from dataclasses import replace

import pytest

from shared.audit.chain import Tail, unaltered, unbroken
from shared.audit.evidence import Level
from tests.shared.audit.made import altered, committed, kinds

LEDGER, COMMITS = committed(4)
TAIL = Tail.of(LEDGER)


def test_an_intact_chain_has_no_findings() -> None:
    assert list(unbroken(TAIL, COMMITS, None, 0)) == []
    assert list(unaltered(TAIL, COMMITS, 0)) == []
    empty, none = committed(0)
    assert list(unbroken(Tail.of(empty), none, None, 0)) == []


@pytest.mark.parametrize("at", range(4))
def test_a_missing_commit_is_found_with_its_neighbors(at: int) -> None:
    left = [one for n, one in enumerate(COMMITS) if n != at]
    (finding,) = unbroken(TAIL, left, None, 0)
    before = COMMITS[at - 1].name if at else "the beginning"
    after = COMMITS[at + 1].name if at < 3 else "the ledger, ordinal 4"
    assert (finding.level, finding.code) == (Level.REFUTED, "missing_files")
    assert finding.message.startswith(
        f"files that were committed between {before} and {after} are missing: 2"
    )


def test_missing_files_inside_a_commit_are_counted() -> None:
    (finding,) = unbroken(TAIL, [replace(COMMITS[0], files=1), *COMMITS[1:]], None, 0)
    assert finding.message.startswith(f"{COMMITS[0].name} lacks 1 of its files")


@pytest.mark.parametrize(("lost", "found"), [(0, 1), (1, 1), (2, 0), (3, 1)])
def test_only_files_that_the_ledger_lost_may_be_missing(lost: int, found: int) -> None:
    assert len(list(unbroken(replace(TAIL, lost=lost), COMMITS[1:], None, 0))) == found


def test_files_lost_before_since_are_not_expected_after_it() -> None:
    chain, anchor = COMMITS[2:3], COMMITS[1].metadata
    assert kinds(unbroken(replace(TAIL, lost=1), chain, anchor, 250)) == ["missing_files"]
    assert list(unbroken(replace(TAIL, lost=4), chain, anchor, 250)) == []


def test_a_ledger_that_counts_fewer_files_was_rolled_back() -> None:
    (finding,) = unbroken(Tail.of(committed(3)[0]), COMMITS, None, 0)
    assert finding.code == "rolled_back"
    assert finding.message.startswith(
        f"the ledger, ordinal 3 counts 2 fewer files than exist after {COMMITS[3].name}"
    )


def test_an_anchor_proves_the_commits_after_it() -> None:
    anchor = COMMITS[1].metadata
    assert list(unbroken(TAIL, COMMITS[2:], anchor, 250)) == []
    assert kinds(unbroken(TAIL, COMMITS[3:], anchor, 250)) == ["no_anchor"]
    assert kinds(unbroken(TAIL, COMMITS[2:3], anchor, 250)) == ["missing_files"]


def test_without_an_anchor_the_first_commits_are_unclear() -> None:
    assert kinds(unbroken(TAIL, COMMITS[2:], None, 250)) == ["no_anchor"]
    assert list(unbroken(TAIL, COMMITS, None, 50)) == []


@pytest.mark.parametrize(("since", "found"), [(400, ["no_anchor"]), (401, [])])
def test_without_any_file_only_an_idle_ledger_is_clear(since: int, found: list[str]) -> None:
    assert kinds(unbroken(TAIL, [], None, since)) == found
    assert list(unbroken(replace(TAIL, files=0), [], None, since)) == []


@pytest.mark.parametrize("at", range(4))
def test_a_file_with_another_digest_is_altered(at: int) -> None:
    chain = [*COMMITS]
    chain[at] = replace(chain[at], digests=[chain[at].digests[0], b"other"])
    (finding,) = unaltered(TAIL, chain, 0)
    assert finding.code == "altered"
    assert finding.message.startswith(COMMITS[at].name)
    chain[at] = replace(chain[at], files=1, unpublished=1)
    assert list(unaltered(TAIL, chain, 0)) == [], "unpublished files have no digest yet"


def test_digests_are_compared_only_with_the_adjacent_commit() -> None:
    chain = [COMMITS[0], replace(COMMITS[1], digests=[b"other"]), COMMITS[3]]
    assert list(unaltered(TAIL, chain, 0)) == []


def test_the_first_commit_follows_no_other() -> None:
    chain = [altered(COMMITS[0], chain_before="f" * 64), *COMMITS[1:]]
    assert kinds(unaltered(TAIL, chain, 0)) == ["altered"]
    assert list(unaltered(TAIL, chain, 1)) == []
