"""Each rule of the commit protocol is needed: without it, some schedule violates an invariant."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from shared.commands import missing_events, missing_files
from shared.commands.missing_files import Exported
from shared.connections import repair
from shared.export import exporter, plan
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.protocol import output_changes, publishing, selection
from shared.protocol.checkpoints import Checkpoint
from shared.protocol.commit_plan import CommitPlan
from shared.protocol.incarnation import TOLERANCE, Incarnation, Progress
from shared.protocol.ledger import Ledger, Lost
from shared.protocol.selection import Verdict
from shared.protocol.stamp import Stamp
from shared.protocol.storage import Storage
from tests.memory import MemoryStorage
from tests.simulation import world
from tests.simulation.invariants import violations
from tests.simulation.run import run
from tests.simulation.schedule import Choices
from tests.simulation.world import Options

ENOUGH = 200
"""The number of schedules, from the pinned one on, in which an invariant must be violated."""
type Patch = Callable[[pytest.MonkeyPatch], None]


def ledger_writes_are_unconditional(patch: pytest.MonkeyPatch) -> None:
    def write(self: MemoryStorage, name: str, data: bytes, _etag: str | None) -> str:
        return self.call("write", name, lambda: self._put(name, data))

    patch.setattr(MemoryStorage, "write", write)


def what_is_listed_is_not_published_first(patch: pytest.MonkeyPatch) -> None:
    def load(self: exporter.Exporter, partition: HubPartition) -> tuple[Ledger, str | None]:
        blob = self._storage.read(Ledger.name(partition))
        if blob is None:
            return Ledger(ledger_id=self._new_id(), partition=str(partition)), None
        return Ledger.parse(blob.data, ""), blob.etag

    patch.setattr(exporter.Exporter, "_load", load)


def a_ledger_is_cached_before_its_files_are_confirmed(patch: pytest.MonkeyPatch) -> None:
    publish = publishing.publish
    caches: dict[str, dict[HubPartition, Any]] = {}

    def run_(self: exporter.Exporter, partition: HubPartition, envelopes: Any) -> Any:
        caches[str(partition)] = self._cache
        return before(self, partition, envelopes)

    def cached(storage: Storage, name: str, ledger: Ledger, etag: str, stamp: Stamp) -> Any:
        caches[ledger.partition][world.PARTITION] = (ledger, etag)
        return publish(storage, name, ledger, etag, stamp)

    before = exporter.Exporter.run
    patch.setattr(exporter.Exporter, "run", run_)
    patch.setattr(exporter, "publish", cached)


def blocks_that_are_gone_mean_done(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(publishing, "BLOCKS_LIVE", 1 << 60)


def blocks_that_are_gone_mean_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(publishing, "BLOCKS_LIVE", -1)


def what_is_lost_is_not_refilled(patch: pytest.MonkeyPatch) -> None:
    verdict_on = selection.verdict_on

    def forgetful(*arguments: Any) -> Verdict:
        verdict = verdict_on(*arguments)
        return Verdict.DUPLICATE if verdict is Verdict.LOST else verdict

    patch.setattr(selection, "verdict_on", forgetful)


def gaps_are_not_kept(patch: pytest.MonkeyPatch) -> None:
    take = Incarnation.take

    def forgetful(self: Incarnation, *arguments: Any) -> Incarnation:
        return take(self, *arguments).model_copy(update={"gaps": ()})

    patch.setattr(Incarnation, "take", forgetful)


def time_does_not_tell_a_new_hub(patch: pytest.MonkeyPatch) -> None:
    verdict_on = selection.verdict_on

    def timeless(*arguments: Any) -> Verdict:
        verdict = verdict_on(*arguments)
        return Verdict.DUPLICATE if verdict is Verdict.RECREATED else verdict

    patch.setattr(selection, "verdict_on", timeless)


def an_older_hubs_envelopes_are_taken_for_new_ones(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Incarnation, "since", None)
    patch.setattr(Progress, "since", None)


def only_times_tell_a_hub_made_anew(patch: pytest.MonkeyPatch) -> None:
    def by_time(ledger: Ledger, created: int) -> Ledger:
        now = ledger.incarnation
        made_anew = now.newest >= 0 and created > now.newest + TOLERANCE
        return ledger.with_new_incarnation(created, created) if made_anew else ledger

    patch.setattr(repair, "with_hub_created", by_time)


def pauses_are_not_remembered(patch: pytest.MonkeyPatch) -> None:
    take = Incarnation.take

    def forgetful(self: Incarnation, *arguments: Any) -> Incarnation:
        return take(self, *arguments).model_copy(update={"recent": ()})

    patch.setattr(Incarnation, "take", forgetful)


def what_an_exporter_committed_too_early_stays_with_the_older_hub(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        selection, "with_hub_evident", lambda ledger, one: ledger.with_new_incarnation(one.enqueued)
    )


def numbers_that_were_committed_too_early_are_not_moved(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "numbered", lambda _self, number, sequences: {number: tuple(sequences)})


def checkpoints_of_an_older_hub_are_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Checkpoint, "stale", lambda *_: False)


def what_the_host_has_passed_is_not_noted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(repair, "with_skipped", lambda ledger, *_: ledger)


def no_ledger_begins_with_a_gap(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(repair.Repair, "_begin", lambda *_: None)


def the_newest_time_is_that_of_the_last_envelope(patch: pytest.MonkeyPatch) -> None:
    take = Progress.take

    def last(self: Progress, envelope: Envelope) -> None:
        take(self, envelope)
        self.newest = envelope.enqueued

    patch.setattr(Progress, "take", last)


def the_newest_time_is_that_of_rows_alone(patch: pytest.MonkeyPatch) -> None:
    make = plan.plan_commit

    def rows_alone(*arguments: Any) -> CommitPlan | None:
        before, after = arguments[2].incarnation, make(*arguments)
        if after is None or after.counts.rows or after.ledger.incarnation.number != before.number:
            return after
        now = after.ledger.incarnation.model_copy(update={"newest": before.newest})
        return CommitPlan(
            after.ledger.model_copy(update={"incarnation": now}), after.files, after.segment, after.counts
        )

    patch.setattr(plan, "plan_commit", rows_alone)


def the_timer_empties_a_list_that_it_has_not_published(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(publishing, "repair", lambda _storage, _name, ledger, etag, _stamp: (ledger, etag))


def files_that_are_gone_are_not_looked_for(patch: pytest.MonkeyPatch) -> None:
    find = missing_events.redeliver
    patch.setattr(
        world, "redeliver", lambda *arguments, **names: find(*arguments, **names | {"missing_files": False})
    )


def what_is_lost_is_refilled_in_every_folder(patch: pytest.MonkeyPatch) -> None:
    def whole(*arguments: Any) -> Any:
        partition, selection_, tables, rejected, policy = arguments
        return plan._outputs(partition, selection_.incarnation, tables, rejected, policy)

    patch.setattr(plan, "_refill", whole)


def what_a_restored_ledger_has_forgotten_is_not_noted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(missing_events, "with_exported", lambda ledger, *_: ledger)


def two_searches_note_the_same_files(patch: pytest.MonkeyPatch) -> None:
    def uncounted(ledger: Ledger, lost: Sequence[Lost]) -> Ledger:
        return output_changes.with_gone(ledger, lost).model_copy(update={"searches": ledger.searches})

    patch.setattr(missing_events, "with_gone", uncounted)


def files_that_are_being_published_are_taken_for_gone(patch: pytest.MonkeyPatch) -> None:
    lacking = Exported.lacking
    patch.setattr(
        Exported, "lacking", lambda self, ledger: lacking(self, ledger.model_copy(update={"files": ()}))
    )


def a_file_that_is_there_is_refilled(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        missing_events,
        "exported",
        lambda *arguments: replace(missing_files.exported(*arguments), folders={}),
    )


MUTATIONS: list[tuple[Patch, Options, int]] = [
    (ledger_writes_are_unconditional, Options(), 0),
    (ledger_writes_are_unconditional, Options(lost_ownership=True, faults=0), 0),
    (what_is_listed_is_not_published_first, Options(faults=250), 0),
    (a_ledger_is_cached_before_its_files_are_confirmed, Options(faults=250), 13),
    (blocks_that_are_gone_mean_done, Options(week=True, faults=250), 15),
    (blocks_that_are_gone_mean_lost, Options(remove=True, faults=250), 0),
    (what_is_lost_is_not_refilled, Options(week=True, faults=250), 15),
    (gaps_are_not_kept, Options(checkpoint_leak=True, rewind=True, faults=250), 0),
    (time_does_not_tell_a_new_hub, Options(recreate=True), 0),
    (an_older_hubs_envelopes_are_taken_for_new_ones, Options(recreate=True), 175),
    (only_times_tell_a_hub_made_anew, Options(recreate=True, kept=True), 3),
    (pauses_are_not_remembered, Options(recreate=True, kept=True), 5),
    (numbers_that_were_committed_too_early_are_not_moved, Options(recreate=True, kept=True), 5),
    (what_an_exporter_committed_too_early_stays_with_the_older_hub, Options(recreate=True, kept=True), 1239),
    (checkpoints_of_an_older_hub_are_kept, Options(recreate=True, kept=True), 0),
    (what_the_host_has_passed_is_not_noted, Options(kept=True, checkpoint_leak=True, faults=250), 39),
    (no_ledger_begins_with_a_gap, Options(recreate=True, kept=True, checkpoint_leak=True, faults=250), 172),
    (what_is_lost_is_refilled_in_every_folder, Options(week=True, faults=250), 36),
    (files_that_are_gone_are_not_looked_for, Options(restored="output"), 0),
    (what_a_restored_ledger_has_forgotten_is_not_noted, Options(restored="state"), 0),
    (two_searches_note_the_same_files, Options(restored="output", faults=0), 98),
    (files_that_are_being_published_are_taken_for_gone, Options(restored="output"), 336),
    (a_file_that_is_there_is_refilled, Options(restored="output", faults=250), 0),
    (the_newest_time_is_that_of_the_last_envelope, Options(skew=8), 0),
    (the_newest_time_is_that_of_rows_alone, Options(skew=8, faults=250), 0),
    (the_timer_empties_a_list_that_it_has_not_published, Options(faults=250), 8),
]
"""Mutations, worlds, and the first seed of each that violates an invariant."""


@pytest.mark.parametrize(
    ("mutate", "options", "seed"), MUTATIONS, ids=[mutate.__name__ for mutate, *_ in MUTATIONS]
)
def test_without_the_rule_an_invariant_is_violated(
    mutate: Patch, options: Options, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    assert any(next(violations(run(Choices(one), options)), None) for one in range(seed, seed + ENOUGH))
