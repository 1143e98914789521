"""Erasing removes exactly the matching rows under all faults, and each of its rules is needed."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.compaction import erasures
from shared.erasure.eraser import Erased, Eraser
from shared.erasure.selection import Selection
from shared.policies import CompactionPolicy
from shared.protocol.storage import BlobInfo
from shared.timeunits import MINUTE
from tests.audits import audited
from tests.effort import effort
from tests.simulation.laws import broken
from tests.simulation.run import explain, run
from tests.simulation.schedule import Choices
from tests.simulation.stage import FOLDER, Effect, Stage
from tests.simulation.test_compaction import the_state_is_written_whoever_wrote_it_before
from tests.simulation.world import Options, World

PARQUET, JSON = Options(compact=True, erase="parquet"), Options(compact=True, erase="json")
SCENARIOS = {
    "Parquet": PARQUET,
    "JSON Lines": JSON,
    "many faults": Options(compact=True, erase="parquet", faults=300),
    "one envelope a commit": Options(compact=True, erase="json", commit_bytes=1, faults=200),
    "blocks expire": Options(compact=True, erase="parquet", week=True, faults=250),
    "Delta log": Options(compact=True, erase="parquet", delta=True),
}
SCHEDULES = effort(2, 200)
ENOUGH = 100
type Patch = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.usefixtures("short_pages")
@pytest.mark.parametrize("options", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_exactly_the_matching_rows_go(options: Options) -> None:
    for seed in range(SCHEDULES):
        failure = explain(seed, options)
        assert failure is None, failure


@pytest.mark.parametrize("options", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_what_is_left_is_proven_row_by_row(options: Options) -> None:
    for seed in range(1000, effort(1001, 1040)):
        assert refuted(run(Choices(seed), options)) == [], seed


def refuted(world: World) -> list[str]:
    report = audited(world.storage)
    return [one.message for part in report.partitions for one in part.findings if report.status]


def test_schedules_reach_what_they_are_for() -> None:
    seen: Counter[str] = Counter()
    for seed in range(5):
        log = run(Choices(seed), SCENARIOS["many faults"]).log
        for line in log[: log.index("--- from here on nothing goes wrong")]:
            if "eraser" in line:
                seen["committed"] += "write compaction.json" in line and line.endswith("ok")
                seen["late"] += line.startswith("late call of eraser")
                seen["died"] += line.endswith("died")
                seen["deleted"] += ": remove" in line
    assert min(seen[what] for what in ("committed", "late", "died", "deleted")) >= 1, seen


def what_a_ledger_lists_is_erased_too(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Eraser, "_listed", lambda _self, _files: set())


def erasures_are_not_noted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(erasures, "note", lambda _storage, _file, _commit_id: None)


MUTATIONS: list[tuple[Patch, Options]] = [
    (what_a_ledger_lists_is_erased_too, Options(compact=True, erase="parquet", faults=250)),
    (the_state_is_written_whoever_wrote_it_before, Options(compact=True, erase="parquet", faults=250)),
    (erasures_are_not_noted, PARQUET),
]


@pytest.mark.parametrize(("mutate", "options"), MUTATIONS, ids=[mutate.__name__ for mutate, _ in MUTATIONS])
def test_without_the_rule_a_law_is_broken(
    mutate: Patch, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    worlds = (run(Choices(seed), options) for seed in range(ENOUGH))
    assert any(next(broken(world), None) or refuted(world) for world in worlds)


# -- a schedule written by hand: chance rarely delays both requests of one file -------------------------


def files_are_erased_however_young(patch: pytest.MonkeyPatch) -> None:
    judge = Eraser._judge

    def hasty(self: Eraser, file: BlobInfo, rows: int, *others: Any) -> bool:
        return judge(self, replace(file, metadata={**file.metadata, "committed_at": "0"}), rows, *others)

    patch.setattr(Eraser, "_judge", hasty)


def a_file_is_sent_twice_and_erased_in_between() -> Iterator[str]:
    """Yields what is wrong after its second requests arrive, within the quiet time, and at the end."""
    stage = Stage()
    sent: dict[str, Effect] = {}
    for kind in ("stage", "publish"):

        def twice(effect: Effect, kind: str = kind) -> None:
            sent[kind] = effect

        stage.instead(kind, FOLDER, twice)
    stage.export(0, 5)
    rows = Counter(row for name in stage.names() for row in stage.rows(name))
    his = min(rows)

    def erase() -> Erased:
        selection = Selection("CorrelationId", (his,))
        policy = CompactionPolicy()
        eraser = Eraser(stage.storage, policy, selection, lambda: stage.now, lambda: uuid.uuid4().hex)
        return eraser.erase(lambda *_: None)

    stage.now += 50 * MINUTE
    erased = set[str]() if erase().left else {his}
    for effect in sent.values():
        effect()
    seen = Counter(row for name in stage.names() for row in stage.rows(name))
    yield from (f"visible twice: {row}" for row, times in seen.items() if times > 1)
    yield from (f"was erased, and came back: {row}" for row in erased & seen.keys())
    stage.now += 11 * MINUTE
    if erase().left:
        yield "cannot be erased after the quiet time"
    if Counter(row for name in stage.names() for row in stage.rows(name)) != rows - Counter([his]):
        yield "other rows are there in the end"


def test_a_file_whose_requests_are_still_on_their_way_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(a_file_is_sent_twice_and_erased_in_between()) == []
    files_are_erased_however_young(monkeypatch)
    broken_laws = list(a_file_is_sent_twice_and_erased_in_between())
    assert any("came back" in law for law in broken_laws)
    assert any("visible twice" in law for law in broken_laws)
