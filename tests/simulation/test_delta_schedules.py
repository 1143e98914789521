"""Rules of Delta logs that random schedules rarely need: without one, a handwritten schedule fails."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.compaction import delta_tables, grouping
from shared.compaction.delta_tables import DeltaTables
from shared.delta import log
from shared.delta.log import DeltaLog
from shared.delta.reconciliation import ListedDay
from shared.delta.snapshot import Snapshot
from shared.errors import OutcomeUnknown
from shared.policies import CompactionPolicy
from shared.timeunits import DAY, HOUR, MINUTE
from tests.simulation.stage import FOLDER, LOG, Effect, Stage

COMPACTING = CompactionPolicy(reach=timedelta(days=1), target=1 << 20, delta=True)
LISTING = replace(COMPACTING, enabled=False)
KEEP = 3 * HOUR
KEEPING = replace(COMPACTING, keep=timedelta(hours=3))
TODAY = f"{FOLDER}date=2030-03-17/"
RETENTION = 10 * DAY
type Patch = Callable[[pytest.MonkeyPatch], None]
type Schedule = Callable[[], Stage]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "CHECKPOINT_VERSIONS", 1)


def logged(stage: Stage, policy: CompactionPolicy = LISTING) -> Stage:
    """A log with small files of two past hours."""
    stage.export(0, 29)
    stage.now += 6 * HOUR
    stage.compact(policy)
    return stage


def settled(stage: Stage, policy: CompactionPolicy = LISTING) -> Stage:
    """Moves the clock forward by a day, after which all folders are compared with the log."""
    stage.now += DAY
    stage.compact(policy)
    return stage


# -- rule 3 ------------------------------------------------------------------------------------------


def a_swap_begins_while_a_day_is_listed() -> Stage:
    stage = logged(Stage())

    def other() -> None:
        stage.crash_after_publishing()
        stage.compact(COMPACTING)

    stage.before("outputs", TODAY, other)
    stage.compact(LISTING)
    assert stage.storage.visible(stage.swap().output.name)
    return settled(stage)


def the_swap_in_progress_is_read_before_the_listing(patch: pytest.MonkeyPatch) -> None:
    begin, pending = DeltaTables.begin, DeltaTables._pending_output
    known: dict[str, str | None] = {}

    def early(self: DeltaTables, prefix: str) -> ListedDay | None:
        listed = begin(self, prefix)
        delta_log = self._log_of(prefix)
        if delta_log:
            known[delta_log.table] = pending(self, delta_log)
        return listed

    patch.setattr(DeltaTables, "begin", early)
    patch.setattr(DeltaTables, "_pending_output", lambda _self, delta_log: known.get(delta_log.table))


# -- rule 5 ------------------------------------------------------------------------------------------


def who_logs_a_swap_has_slept_and_the_log_is_another_one() -> Stage:
    stage = logged(Stage())
    stage.crash_after_publishing()
    stage.compact(COMPACTING)
    output = stage.swap().output.name

    def meanwhile() -> None:
        stage.compact(COMPACTING)
        assert stage.storage.visible(output)
        stage.export(30, 99)
        for _ in range(2):
            stage.now += 2 * HOUR
            stage.compact(COMPACTING)
        assert not stage.storage.visible(output)
        stage.lose_log()
        stage.compact(LISTING)

    stage.before("read output", "_last_checkpoint", meanwhile)
    stage.compact(COMPACTING)
    return settled(stage)


def a_swap_is_logged_though_it_has_ended(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DeltaTables, "_check_unchanged", lambda _self, _etag: None)


# -- rule 7 ------------------------------------------------------------------------------------------


def a_pointer_is_lost_when_version_0_is_gone() -> Stage:
    stage = logged(Stage())
    for _ in range(4):
        settled(stage)
    assert f"{LOG}{0:020d}.json" not in stage.names(LOG)
    stage.storage.remove_output(f"{LOG}{log.POINTER}")
    stage.export(30, 39)
    return settled(stage)


def only_the_pointer_says_whether_there_is_a_log(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DeltaLog, "_from_listing", lambda _self: None)


# -- rule 8 ------------------------------------------------------------------------------------------


def an_output_is_deleted_before_its_inputs_are() -> Stage:
    stage = logged(Stage())
    stage.before("remove", TODAY, stage.crash)
    stage.compact(COMPACTING)
    stage.delete_file(stage.swap().output.name)
    stage.compact(LISTING)
    return settled(stage)


def inputs_of_a_swap_that_is_given_up_stay_out(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(DeltaTables, "log_given_up", lambda _self, _swap, _state: None)


# -- rules 10 and 12 ---------------------------------------------------------------------------------


def others_write_versions_and_clean_up_during_a_run() -> Stage:
    stage = logged(Stage())

    def others() -> None:
        for _ in range(2):
            stage.delete_file(next(name for name in stage.names() if "hour=16" in name))
            stage.compact(LISTING)

    stage.before("outputs", TODAY, others)
    stage.compact(COMPACTING)
    assert any("compacted-" in name for name in stage.names())
    return settled(stage)


def versions_are_deleted_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(log, "VERSIONS", -1)


def a_process_idles_for_longer_than_versions_are_kept() -> Stage:
    stage = Stage()
    stage.export(0, 9)
    process = stage.compactor(replace(COMPACTING, reach=timedelta(days=20)))
    for _ in range(2):  # the first run creates the log
        process.run(600)
    next_version = f"{LOG}{stage.watch.versions + 1:020d}.json"
    for _ in range(9):
        settled(stage)
    assert next_version not in stage.names(LOG)
    # Days before the last two are checked in turn.
    while not any("compacted-" in name for name in stage.names()):
        stage.now += grouping.SLOT
        process.run(600)
    return settled(stage)


def a_run_goes_on_with_the_log_that_an_earlier_one_read(patch: pytest.MonkeyPatch) -> None:
    load = DeltaLog.load
    known: dict[Any, Snapshot] = {}

    def cached(self: DeltaLog) -> Snapshot | None:
        if (self._now, self.folder) in known:
            self._snapshot = known[self._now, self.folder]
            self.follow()
            return self.snapshot
        found = load(self)
        if found:
            known[self._now, self.folder] = found
        return found

    patch.setattr(DeltaLog, "load", cached)


def lifecycle_deletes_the_log_of_a_quiet_table() -> Stage:
    stage = logged(Stage(retention=RETENTION))
    policy = replace(LISTING, retention=timedelta(days=10))
    for _ in range(22):
        settled(stage, policy)
        for name in [*stage.names(), *stage.names(LOG)]:
            metadata = stage.storage.output[name].metadata
            if int(metadata.get("committed_at") or metadata[log.WRITTEN_AT]) < stage.now - RETENTION:
                if name.startswith(LOG):
                    stage.storage.remove_output(name)
                else:
                    stage.delete_file(name)
        stage.watch.look()
    return stage


def a_day_may_pass_without_a_version(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(delta_tables, "_swept", lambda _at, _snapshot: [])


# -- rule 11 -----------------------------------------------------------------------------------------


def the_version_of_a_swap_arrives_late() -> Stage:
    stage = logged(Stage(keep=KEEP), replace(LISTING, keep=KEEPING.keep))
    late: list[Effect] = []

    def delay(effect: Effect) -> None:
        late.append(effect)
        raise OutcomeUnknown("put: no answer")

    stage.instead("put output", ".json", delay)
    stage.compact(KEEPING)
    stage.now += 50 * MINUTE
    late[0]()
    stage.storage.look()
    stage.now += MINUTE
    stage.compact(KEEPING)
    stage.now += KEEP - 40 * MINUTE
    stage.export(35, 36)
    stage.compact(KEEPING)
    return settled(stage, KEEPING)


def replaced_files_are_not_kept_for_late_versions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(log, "LATE", 0)


def a_process_dies_before_it_deletes_files_that_were_kept() -> Stage:
    stage = logged(Stage(keep=KEEP), replace(LISTING, keep=KEEPING.keep))
    stage.compact(KEEPING)
    stage.now += 2 * KEEP
    stage.export(35, 36)
    stage.before("remove", TODAY, stage.crash)
    stage.compact(KEEPING)
    stage.now += 10 * MINUTE
    stage.compact(KEEPING)
    return settled(stage, KEEPING)


class Deferring:
    """Storage whose deletions arrive later."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self.waiting: list[Sequence[str]] = []

    def __getattr__(self, name: str) -> Any:
        return self.waiting.append if name == "remove" else getattr(self._storage, name)


def tombstones_leave_the_checkpoint_before_their_files_go(patch: pytest.MonkeyPatch) -> None:
    checkpoint = DeltaLog.checkpoint

    def hasty(self: DeltaLog, keep: int) -> None:
        storage: Any = self._storage
        deferring: Any = Deferring(storage)
        self._storage = deferring
        checkpoint(self, keep)
        self._storage = storage
        for names in deferring.waiting:
            storage.remove(names)

    patch.setattr(DeltaLog, "checkpoint", hasty)


RULES: list[tuple[Patch, Schedule]] = [
    (the_swap_in_progress_is_read_before_the_listing, a_swap_begins_while_a_day_is_listed),
    (a_swap_is_logged_though_it_has_ended, who_logs_a_swap_has_slept_and_the_log_is_another_one),
    (only_the_pointer_says_whether_there_is_a_log, a_pointer_is_lost_when_version_0_is_gone),
    (inputs_of_a_swap_that_is_given_up_stay_out, an_output_is_deleted_before_its_inputs_are),
    (versions_are_deleted_at_once, others_write_versions_and_clean_up_during_a_run),
    (a_run_goes_on_with_the_log_that_an_earlier_one_read, a_process_idles_for_longer_than_versions_are_kept),
    (a_day_may_pass_without_a_version, lifecycle_deletes_the_log_of_a_quiet_table),
    (replaced_files_are_not_kept_for_late_versions, the_version_of_a_swap_arrives_late),
    (
        tombstones_leave_the_checkpoint_before_their_files_go,
        a_process_dies_before_it_deletes_files_that_were_kept,
    ),
]


@pytest.mark.parametrize(("mutate", "schedule"), RULES, ids=[mutate.__name__ for mutate, _ in RULES])
def test_a_schedule_violates_an_invariant_only_without_the_rule(
    mutate: Patch, schedule: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(schedule().watch.violations()) == []
    mutate(monkeypatch)
    assert list(schedule().watch.violations())
