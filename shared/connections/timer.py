"""The timer's shell: merges committed records into the state table and writes finished connections."""

import logging
from collections.abc import Iterator, Sequence

import pyarrow as pa

from shared import deadline, telemetry
from shared.connections import finishing, manifest, observations, segments, service_activity, state_table
from shared.connections.checkpoint_watch import CheckpointWatch
from shared.connections.finish_summary import FinishSummary
from shared.connections.manifest import Manifest, PartitionProgress, Totals
from shared.connections.observations import NO_NAME
from shared.connections.progress import Taken, advanced
from shared.connections.repair import Repair
from shared.connections.state_merge import StateMerge
from shared.errors import DamagedFile, DeadlineExceeded, PreconditionFailed
from shared.policies import FinishPolicy
from shared.protocol import publishing
from shared.protocol.hub import Hub, HubState
from shared.protocol.ledger import Ledger
from shared.protocol.stamp import Clock, NewId, Stamp
from shared.protocol.storage import Storage
from shared.telemetry import TimerRun
from shared.timeunits import SECOND

CHUNK = 250_000
"""Maximum observations that one commit of the manifest merges, to bound memory."""
SEGMENTS = 5_000
"""Maximum segments that one commit merges. Each takes 35 KB of memory, even with few observations."""
ATTEMPTS = 10
BUDGET = 50.0
"""Seconds after which a run begins nothing new; runs are a minute apart."""
SECONDS = 240.0
"""Maximum duration of a run in seconds; after its budget, it only finishes what it has begun."""
LOST = "the state of its connections is lost: they get no row, or rows without their earlier records"

log = logging.getLogger(__name__)


class Finisher:
    """Does the work of the timer. If two run at once, in one or several processes, the manifest decides."""

    def __init__(
        self,
        storage: Storage,
        hub: Hub,
        policy: FinishPolicy,
        now: Clock,
        new_id: NewId,
        seconds: float = SECONDS,
        watch: CheckpointWatch | None = None,
        asked: Clock | None = None,
    ) -> None:
        """`watch`: None if the host's checkpoints cannot be reached.

        `asked`: returns the time of the hub's answer, if it differs from `now`.
        """
        self._seconds = seconds
        self._storage = storage
        self._hub = hub
        self._policy = policy
        self._vocabulary = finishing.Vocabulary.of(policy)
        self._now = now
        self._new_id = new_id
        self._watch, self._asked = watch, asked or now
        self._share = 1
        """The limits of a commit are divided by this number, which doubles when a step runs out of time."""
        self._repair = Repair(storage, now, new_id)

    def run(self, budget_seconds: float) -> FinishSummary:
        """Repairs, merges, finishes, publishes and sweeps step by step until all is done or the time is up.

        Raises StorageError or LedgerError. The next run continues from what was committed.
        """
        with deadline.within(self._seconds):
            return self._run(budget_seconds)

    def _run(self, budget_seconds: float) -> FinishSummary:
        summary = FinishSummary()
        until = self._now() + int(budget_seconds * SECOND)
        asked, state = self._asked(), self._hub.ask()
        before, _ = self._load(Stamp(self._new_id(), self._now()))
        summary.repaired = self._repair_ledgers(before, state, summary)
        refusals = 0
        while not summary.complete and refusals < ATTEMPTS:
            try:
                self._step(asked, state, summary)
            except DeadlineExceeded:
                # A step that never ends in time would be retried forever.
                self._share *= 2
                raise
            except PreconditionFailed as refusal:
                refusals += 1
                log.warning("conflict (%d): %s", refusals, refusal)
                if refusals == ATTEMPTS:
                    summary.alarm(f"no connections are finished: {refusal}")
            if self._now() >= until:
                break
        if summary.complete:
            self._share = max(1, self._share // 2)
        summary.swept += self._repair.sweep(summary.alarm)
        telemetry.timer_ran(
            TimerRun(
                open=summary.open,
                merged_age=(self._now() - summary.clock) / SECOND if summary.clock >= 0 else None,
                finished=summary.finished,
                durations=summary.durations,
                revised=summary.revisions,
                capped=summary.capped,
                unknown_names=summary.unknown_names,
                stalled=summary.stalled,
                alarms=len(summary.alarms),
                lag=summary.lag,
                silence=summary.silence,
                retention=self._policy.retention.total_seconds(),
            )
        )
        return summary

    def _repair_ledgers(self, before: Manifest, state: HubState | None, summary: FinishSummary) -> int:
        """Repairs ledgers after crashed exporters and re-created hubs; returns the number of repairs."""
        watch = self._watch
        found = watch.read(state, summary.alarm) if state and watch else {}
        repaired = self._repair.repair(before, state, found, summary.alarm)
        if state and watch:
            watch.run(state, found, summary.alarm)
        return repaired

    # -- one commit of the manifest --------------------------------------------------------------------

    def _step(self, asked: int, state: HubState | None, summary: FinishSummary) -> None:
        """Merges a chunk, writes finished connections, and commits both in the manifest."""
        stamp = Stamp(self._new_id(), self._now())
        stored, etag = self._load(stamp)
        parts = self._storage.names("state-table/")
        before = self._without_missing(stored, parts, etag, summary)
        ledgers = list(self._ledgers(before, etag, summary))
        taken = list(self._take(before, ledgers))
        new, missing = self._read(taken, etag, summary)
        after = advanced(before, taken, finishing.newest(new), self._vocabulary.names, asked, state)
        after = after.model_copy(
            update={
                "totals": after.totals.plus(Totals(missing=missing)),
                "services": service_activity.merged(before.services, service_activity.activity(new)),
            }
        )
        work = StateMerge(self._storage, self._policy, after, stamp)
        for part, piece in zip(before.parts or (None,), state_table.spread(new, before.parts), strict=True):
            work.part(part, piece)
        after = work.manifest()
        for name in work.damaged:
            summary.alarm(f"{name} is damaged: {LOST}")
        files = work.files()
        after = after.with_files([file.pending for file in files])
        if after != stored:
            self._storage.stage(files)
            after = after.written(stamp.commit_id, stamp.now)
            etag = self._storage.write(manifest.NAME, after.dump(), etag)
            publishing.publish(self._storage, manifest.NAME, after, etag, stamp)
            summary.swept += self._repair.sweep_parts(parts, after)
        summary.finished.update(work.finished)
        summary.durations += work.durations
        summary.add(before, after, taken, state, stamp.now)
        summary.unknown_names = sum(
            name != NO_NAME and name.lower() not in self._vocabulary.names for name in after.names
        )
        summary.complete = not work.left and all(one.all for one in taken)

    def _load(self, stamp: Stamp) -> tuple[Manifest, str | None]:
        """Reads the manifest and publishes every file that it lists."""
        blob = self._storage.read(manifest.NAME)
        if blob is None:
            return Manifest(), None
        return publishing.publish(self._storage, manifest.NAME, Manifest.parse(blob.data), blob.etag, stamp)

    def _ledgers(self, before: Manifest, etag: str | None, summary: FinishSummary) -> Iterator[Ledger]:
        """Yields the ledgers that can be trusted. Partitions without one delay the clock."""
        ledgers = {name: ledger for name, ledger, _ in self._repair.ledgers(summary.alarm)}
        for name, ledger in ledgers.items():
            if before.rolled_back(ledger):
                summary.alarm(
                    f"{name} is older than the version seen before, or a different one: "
                    "restore it, or accept it"
                )
            elif before.behind(ledger):
                self._check_manifest(etag)
                summary.alarm(
                    f"{manifest.NAME} is missing, or older than {name}, which dropped merged segments: "
                    "restore it, or accept the ledger"
                )
            else:
                yield ledger
        for partition, merged in before.partitions.items():
            if merged.ledger_id and f"ledgers/{partition}.json" not in ledgers:
                summary.alarm(
                    f"ledgers/{partition}.json existed before and cannot be read: "
                    "restore it, or accept its loss"
                )

    def _take(self, before: Manifest, ledgers: Sequence[Ledger]) -> Iterator[Taken]:
        """Selects the oldest segments for one commit, those of the partition furthest behind first."""
        room, number = max(1, CHUNK // self._share), max(1, SEGMENTS // self._share)
        for ledger in sorted(
            ledgers, key=lambda one: before.partitions.get(one.partition, PartitionProgress()).progress
        ):
            chosen, unreadable = segments.waiting(
                self._storage, ledger, before.watermark(ledger), room, number
            )
            room -= sum(one.observations for one in chosen)
            number -= len(chosen)
            reached = max(
                before.watermark(ledger),
                *(index.last for index in unreadable),
                *(one.ordinal for one in chosen),
                0,
            )
            newest = ledger.segments[-1].ordinal if ledger.segments else 0
            yield Taken(ledger, tuple(chosen), tuple(unreadable), all=reached >= newest)

    def _read(self, taken: Sequence[Taken], etag: str | None, summary: FinishSummary) -> tuple[pa.Table, int]:
        """Reads these segments as rows of the state table. Also returns how many blobs could not be read."""
        names = [segment.name for one in taken for segment in one.segments]
        blobs = self._storage.read_all(names)
        unreadable = [index.name for one in taken for index in one.unreadable]
        found = []
        for name, blob in zip(names, blobs, strict=True):
            try:
                found.append(observations.load(blob.data if blob else b""))
            except DamagedFile:
                unreadable.append(name)
        if unreadable:
            self._check_manifest(etag)
            for name in unreadable:
                summary.alarm(f"{name} is missing or damaged: rows of its connections lack records")
        return state_table.keyed(found), len(unreadable)

    def _without_missing(
        self, before: Manifest, names: Sequence[str], etag: str | None, summary: FinishSummary
    ) -> Manifest:
        """Removes missing parts of the state table, with an alarm for each."""
        gone = {part.name for part in before.parts} - set(names)
        if not gone:
            return before
        self._check_manifest(etag)
        for name in sorted(gone):
            summary.alarm(f"{name} is missing: {LOST}")
        return before.without_parts(gone)

    def _check_manifest(self, etag: str | None) -> None:
        """Raises PreconditionFailed if another instance has written the manifest since it had this ETag."""
        current = self._storage.read(manifest.NAME)
        if (current.etag if current else None) != etag:
            raise PreconditionFailed(f"{manifest.NAME}: another instance has written it")
