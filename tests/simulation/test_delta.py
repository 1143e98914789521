"""Delta logs list each row once at every moment, under all faults; each rule is needed."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from shared.compaction.compaction_state import CompactionState, Swap
from shared.compaction.compactor import Compactor
from shared.compaction.delta_tables import DeltaTables
from shared.compaction.summary import CompactionSummary
from shared.delta import actions, log, reconciliation
from shared.delta.log import DeltaLog
from shared.delta.reconciliation import ListedDay
from shared.delta.snapshot import Action, Add, Remove, Snapshot
from shared.errors import PreconditionFailed
from tests.effort import effort
from tests.memory import MemoryStorage
from tests.simulation.invariants import violations
from tests.simulation.run import explain, run
from tests.simulation.schedule import Choices
from tests.simulation.world import Options

SCENARIOS = {
    "faults": Options(compact=True, delta=True),
    "many faults": Options(compact=True, delta=True, faults=300),
    "one envelope a commit": Options(compact=True, delta=True, commit_bytes=1, faults=200),
    "three compactors": Options(compact=True, delta=True, rivals=True, faults=100),
    "blocks expire": Options(compact=True, delta=True, week=True, faults=250),
    "replaced files are kept": Options(compact=True, delta=True, keep=3, faults=200),
    "lifecycle deletes": Options(compact=True, delta=True, retention=60, faults=200),
    "outputs are deleted": Options(compact=True, delta=True, hand=True, faults=200),
}
SCHEDULES = effort(1, 20)
type Patch = Callable[[pytest.MonkeyPatch], None]


pytestmark = pytest.mark.usefixtures("short_pages")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "PIPELINED", 2)
    monkeypatch.setattr(log, "CHECKPOINT_VERSIONS", 3)


@pytest.mark.parametrize("options", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_readers_see_each_row_once_at_every_moment(options: Options) -> None:
    for seed in range(SCHEDULES):
        failure = explain(seed, options)
        assert failure is None, failure


def test_schedules_reach_the_intended_situations() -> None:
    seen: Counter[str] = Counter()
    for seed in range(effort(3, 8)):
        world = run(Choices(seed), replace(SCENARIOS["three compactors"], faults=250))
        assert world.delta
        seen["versions"] += world.delta.versions
        for line in world.log:
            if "put output" in line:
                seen["checkpoints"] += "_last_checkpoint" in line and line.endswith("ok")
                seen["faults"] += line.startswith("compactor") and "[none]" not in line
    assert min(seen.values()) >= 3, seen


def versions_replace_each_other(patch: pytest.MonkeyPatch) -> None:
    put = MemoryStorage.put_output

    def unconditional(
        self: MemoryStorage, name: str, data: bytes, metadata: Mapping[str, str], *, replace: bool
    ) -> None:
        put(self, name, data, metadata, replace=replace or name.endswith(".json"))

    patch.setattr(MemoryStorage, "put_output", unconditional)


def a_conflict_does_not_change_what_is_written(patch: pytest.MonkeyPatch) -> None:
    def stubborn(self: DeltaLog, decide: Callable[[Snapshot], Sequence[Action]], operation: str) -> int:
        found = decide(self.snapshot)
        for _ in range(log.TRIES if found else 0):
            version = self.snapshot.version + 1
            data = actions.encode(found, operation, self._now(), self._table.time_column)
            try:
                self._put(self._version(version), data, replace=False)
            except PreconditionFailed:
                self.follow()
                continue
            self.snapshot.apply(found, version)
            break
        return 0

    patch.setattr(DeltaLog, "append", stubborn)


def tombstones_do_not_count(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Snapshot, "knows", Snapshot.is_live)


def what_was_added_while_a_day_is_listed_counts_as_gone(patch: pytest.MonkeyPatch) -> None:
    def hasty(day: str, base: int) -> ListedDay:
        return ListedDay(day, base + (1 << 60))

    patch.setattr("shared.compaction.delta_tables.ListedDay", hasty)


def the_output_of_a_swap_in_progress_is_added(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DeltaTables, "_pending_output", lambda _self, _log: None)


def a_swap_is_logged_before_its_output_is_published(patch: pytest.MonkeyPatch) -> None:
    finish = Compactor._finish

    def hasty(
        self: Compactor, state: CompactionState, etag: str | None, summary: CompactionSummary
    ) -> tuple[CompactionState, str]:
        assert state.swap
        assert etag
        self._tables.log_swap(state.swap, state, etag)
        return finish(self, state, etag, summary)

    patch.setattr(Compactor, "_finish", hasty)


def inputs_are_deleted_before_the_swap_is_logged(patch: pytest.MonkeyPatch) -> None:
    log_swap = DeltaTables.log_swap

    def late(self: DeltaTables, swap: Swap, state: CompactionState, etag: str) -> bool:
        self._storage.remove(swap.names)
        return log_swap(self, swap, state, etag)

    patch.setattr(DeltaTables, "log_swap", late)


def files_that_are_not_in_the_log_are_compacted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DeltaTables, "live", lambda _self, files: list(files))


def an_older_program_goes_on_compacting(patch: pytest.MonkeyPatch) -> None:
    with_delta = CompactionState.with_delta

    def open_to_all(self: CompactionState, table: str, version: int) -> CompactionState:
        return with_delta(self, table, version).model_copy(update={"format": 1})

    patch.setattr(CompactionState, "with_delta", open_to_all)


def the_pointer_is_written_before_its_checkpoint(patch: pytest.MonkeyPatch) -> None:
    put = DeltaLog._put
    waiting: list[tuple[str, bytes]] = []

    def swapped(self: DeltaLog, name: str, data: bytes, *, replace: bool) -> None:
        if name.endswith(".checkpoint.parquet"):
            waiting[:] = [(name, data)]
            return
        put(self, name, data, replace=replace)
        if name.endswith(log.POINTER):
            put(self, *waiting[0], replace=True)

    patch.setattr(DeltaLog, "_put", swapped)


def all_folders_are_never_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DeltaTables, "_sweep", lambda _self, _log: None)


def checkpoints_forget_which_files_are_kept(patch: pytest.MonkeyPatch) -> None:
    swapped = reconciliation.swapped

    def forgetful(*arguments: Any, **options: Any) -> list[Add | Remove]:
        found = swapped(*arguments, **options)
        return [
            replace(one, tombstone=replace(one.tombstone, kept=False)) if isinstance(one, Remove) else one
            for one in found
        ]

    patch.setattr(reconciliation, "swapped", forgetful)


def files_stay_in_the_log_until_they_are_deleted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DeltaTables, "_expire", lambda _self, _log: None)


def files_are_added_however_old_they_are(patch: pytest.MonkeyPatch) -> None:
    reconcile = reconciliation.reconcile

    def careless(
        snapshot: Snapshot, listed: ListedDay, pending_output: str | None, _oldest: int, now: int
    ) -> list[Add | Remove]:
        return reconcile(snapshot, listed, pending_output, 0, now)

    patch.setattr(reconciliation, "reconcile", careless)


DELTA = Options(compact=True, delta=True, faults=200)
RIVALS = replace(DELTA, rivals=True, faults=100)
MUTATIONS: list[tuple[Patch, Options, int]] = [
    (versions_replace_each_other, RIVALS, 3),
    (a_conflict_does_not_change_what_is_written, RIVALS, 13),
    (tombstones_do_not_count, DELTA, 0),
    (what_was_added_while_a_day_is_listed_counts_as_gone, DELTA, 0),
    (the_output_of_a_swap_in_progress_is_added, RIVALS, 3),
    (a_swap_is_logged_before_its_output_is_published, DELTA, 0),
    (inputs_are_deleted_before_the_swap_is_logged, DELTA, 0),
    (files_that_are_not_in_the_log_are_compacted, DELTA, 28),
    (an_older_program_goes_on_compacting, DELTA, 9),
    (the_pointer_is_written_before_its_checkpoint, DELTA, 0),
    (all_folders_are_never_compared, DELTA, 9),
    (checkpoints_forget_which_files_are_kept, replace(DELTA, keep=3), 0),
    (files_stay_in_the_log_until_they_are_deleted, replace(DELTA, retention=60), 0),
    (files_are_added_however_old_they_are, replace(DELTA, retention=60), 0),
]
ENOUGH = 30
"""The number of schedules, from the pinned one on, in which an invariant must be violated."""


@pytest.mark.parametrize(
    ("mutate", "options", "seed"), MUTATIONS, ids=[mutate.__name__ for mutate, *_ in MUTATIONS]
)
def test_without_the_rule_an_invariant_is_violated(
    mutate: Patch, options: Options, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    assert any(next(violations(run(Choices(one), options)), None) for one in range(seed, seed + ENOUGH))
