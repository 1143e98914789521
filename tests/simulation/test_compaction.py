"""Compaction hides no row, and duplicates none permanently, under all faults; each rule is needed."""

from collections import Counter
from collections.abc import Callable

import pytest

from shared.compaction import compaction_state
from shared.compaction.compaction_state import CompactionState
from shared.compaction.compactor import Compactor
from shared.compaction.summary import CompactionSummary
from tests.audits import audited
from tests.effort import effort
from tests.memory import MemoryStorage
from tests.simulation.invariants import violations
from tests.simulation.run import explain, run
from tests.simulation.schedule import Choices
from tests.simulation.world import Options

SCENARIOS = {
    "faults": Options(compact=True),
    "many faults": Options(compact=True, faults=300),
    "one envelope a commit": Options(compact=True, commit_bytes=1, faults=200),
    "operator rewinds": Options(compact=True, checkpoint_leak=True, rewind=True),
    "hub re-created": Options(compact=True, recreate=True, skew=8),
    "blocks expire": Options(compact=True, week=True, faults=250),
}
SCHEDULES = effort(2, 200)
ENOUGH = 300
type Patch = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.usefixtures("short_pages")
@pytest.mark.parametrize("options", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_every_row_stays_visible_and_is_finally_unique(options: Options) -> None:
    for seed in range(SCHEDULES):
        failure = explain(seed, options)
        assert failure is None, failure


@pytest.mark.parametrize("options", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_the_output_is_proven_row_by_row(options: Options) -> None:
    for seed in range(1000, effort(1001, 1040)):
        report = audited(run(Choices(seed), options).storage)
        assert report.status == 0, (seed, [one.findings for one in report.partitions])


def test_schedules_reach_the_intended_situations() -> None:
    seen: Counter[str] = Counter()
    for seed in range(effort(5, 40)):
        log = run(Choices(seed), SCENARIOS["many faults"]).log
        for line in log[: log.index("--- from here on nothing goes wrong")]:
            if "compact" in line:
                seen["committed"] += "write compaction.json" in line and line.endswith("ok")
                seen["late"] += line.startswith("late call of compactor")
                seen["died"] += line.endswith("died")
                seen["deleted"] += ": remove" in line
    assert min(seen.values()) >= effort(3, 10), seen


def inputs_are_deleted_before_the_output_is_published(patch: pytest.MonkeyPatch) -> None:
    finish = Compactor._finish

    def hasty(
        self: Compactor, state: CompactionState, etag: str | None, summary: CompactionSummary
    ) -> tuple[CompactionState, str]:
        assert state.swap
        self._storage.remove(state.swap.names)
        return finish(self, state, etag, summary)

    patch.setattr(Compactor, "_finish", hasty)


def inputs_are_deleted_where_blocks_are_gone(patch: pytest.MonkeyPatch) -> None:
    def trusting(
        self: Compactor, state: CompactionState, etag: str | None, _summary: CompactionSummary
    ) -> tuple[CompactionState, str]:
        assert state.swap
        self._storage.publish([state.swap.output])
        self._storage.remove(state.swap.names)
        return state.ended(), self._storage.write(compaction_state.NAME, state.ended().dump(), etag)

    patch.setattr(Compactor, "_finish", trusting)


def what_a_ledger_lists_is_compacted_too(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Compactor, "_listed", lambda _self, _files: set())


def a_swap_that_is_under_way_is_not_finished(patch: pytest.MonkeyPatch) -> None:
    load = Compactor._load

    def forgetful(self: Compactor) -> tuple[CompactionState, str | None]:
        state, etag = load(self)
        return state.model_copy(update={"swap": None}), etag

    patch.setattr(Compactor, "_load", forgetful)


def the_state_is_written_whoever_wrote_it_before(patch: pytest.MonkeyPatch) -> None:
    write = MemoryStorage.write

    def unconditional(self: MemoryStorage, name: str, data: bytes, etag: str | None) -> str:
        if name != compaction_state.NAME:
            return write(self, name, data, etag)
        return self.call("write", name, lambda: self._put(name, data))

    patch.setattr(MemoryStorage, "write", unconditional)


MUTATIONS: list[tuple[Patch, Options, int]] = [
    (inputs_are_deleted_before_the_output_is_published, Options(compact=True), 0),
    (inputs_are_deleted_where_blocks_are_gone, Options(compact=True, week=True, faults=250), 1),
    (what_a_ledger_lists_is_compacted_too, Options(compact=True, faults=250), 7),
    (a_swap_that_is_under_way_is_not_finished, Options(compact=True, faults=250), 2),
    (the_state_is_written_whoever_wrote_it_before, Options(compact=True, faults=250), 1),
]


@pytest.mark.parametrize(
    ("mutate", "options", "seed"), MUTATIONS, ids=[mutate.__name__ for mutate, *_ in MUTATIONS]
)
def test_without_the_rule_an_invariant_is_violated(
    mutate: Patch, options: Options, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    assert any(next(violations(run(Choices(one), options)), None) for one in range(seed, seed + ENOUGH))
