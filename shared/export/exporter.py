"""Commits a partition's envelopes: load ledger, plan, stage, write ledger, publish; until none is left."""

import logging
import threading
from collections.abc import Sequence

from shared import deadline, telemetry
from shared.connections.start_times import StartTimes
from shared.errors import (
    ExporterError,
    LastResortError,
    LedgerError,
    LedgerMissing,
    LedgerRolledBack,
    PlanningFailed,
    PreconditionFailed,
)
from shared.export import commit_telemetry, plan
from shared.export.isolation import PLANNER, IsolatedPlanner, resolved
from shared.export.memory_budget import ByteBudget
from shared.input.envelope import Envelope
from shared.input.gzip_bodies import GZIP
from shared.input.hub_partition import HubPartition
from shared.policies import ChildLimits, ExportPolicy
from shared.protocol.commit_plan import CommitPlan
from shared.protocol.ledger import Ledger
from shared.protocol.publishing import PENDING, publish, repair
from shared.protocol.selection import select
from shared.protocol.stamp import Clock, NewId, Stamp
from shared.protocol.storage import Storage
from shared.wording import counted

SECONDS = 120.0
"""Maximum duration of a call of `run` (s), far below `functionTimeout`, which would restart the worker."""
ATTEMPTS = 10
"""Consecutive conflicts after which the invocation fails and the trigger's retry policy takes over."""

log = logging.getLogger(__name__)


class Exporter:
    """Exports all partitions that a process receives. Thread-safe."""

    def __init__(
        self,
        storage: Storage,
        policy: ExportPolicy,
        memory: int,
        now: Clock,
        new_id: NewId,
        staleness: int = 5_000_000,
        seconds: float = SECONDS,
        limits: ChildLimits | None = None,
        planner: str = PLANNER,
    ) -> None:
        """Makes no storage call.

        Args:
            storage: the state and the output.
            policy: decides what is exported.
            memory: maximum bytes of envelopes that all calls of `run` work on at the same time.
            now: the clock.
            new_id: makes the ids of commits.
            staleness: maximum age in µs of the cached start times of other partitions.
            seconds: maximum duration of `run`, including the wait for memory.
            limits: the limits for planning in a child process.
            planner: the `module:function` that plans; tests pass a planner that fails.
        """
        self._storage = storage
        self._policy = policy
        self._now = now
        self._new_id = new_id
        self._seconds = seconds
        self._limits = limits or ChildLimits()
        self._planner = planner
        self._isolated = threading.Lock()
        self._budget = ByteBudget(memory)
        self._lock = threading.Lock()
        self._cache: dict[HubPartition, tuple[Ledger, str]] = {}
        self._seen: dict[HubPartition, tuple[str, int]] = {}
        self._known = StartTimes(storage, staleness, now)

    def run(self, partition: HubPartition, envelopes: Sequence[Envelope]) -> list[CommitPlan]:
        """Commits the envelopes that are not committed yet, and returns the commits, without data.

        When it returns, all envelopes are committed and their files are visible. If it raises StorageError
        or LedgerError, some may be committed; call it again with these or any other envelopes of the
        partition. It raises PlanningFailed if planning takes longer than the run may; then call
        `run_isolated`.
        """
        with deadline.within(self._seconds):
            return self._run(partition, envelopes)

    def run_isolated(self, partition: HubPartition, envelopes: Sequence[Envelope]) -> list[CommitPlan]:
        """Like `run`, for a batch that may break this process: plans it in a child process with limits.

        If the batch breaks the child, each message is planned and committed individually, and one that
        breaks it again becomes a dead letter with the reason `internal_error`. If it raises LastResortError,
        some are committed, and the next attempt should call this method again.
        """
        commits: list[CommitPlan] = []
        try:
            with (
                deadline.within(self._seconds),
                deadline.hold(self._isolated, "the child process of other partitions"),
                IsolatedPlanner(self._limits, self._planner) as planner,
            ):
                try:
                    return self._run(partition, envelopes, planner)
                except PlanningFailed as error:
                    log.warning("%s: continues with individual messages: %s", partition, error)
                for envelope in envelopes:
                    commits += self._run(partition, [envelope], planner)
        except ExporterError as error:
            raise LastResortError(f"in a child process: {type(error).__name__}: {error}") from error
        return commits

    def _plan(
        self,
        planner: IsolatedPlanner | None,
        partition: HubPartition,
        envelopes: Sequence[Envelope],
        ledger: Ledger,
    ) -> CommitPlan | None:
        """Step 2: plans the next commit; returns None if all envelopes are committed."""
        arguments = (partition, envelopes, ledger, self._known, self._policy, self.stamp())
        if planner is None:
            commit: CommitPlan | None = resolved(self._planner)(*arguments)
            if commit and deadline.left() <= 0:  # not a storage problem: the next attempt isolates the batch
                raise PlanningFailed(f"{partition}: the time of this run was up while the batch was planned")
            return commit
        if select(ledger, envelopes) is None:  # this check needs no child process
            return None
        try:
            return planner.make(*arguments)
        except PlanningFailed as error:
            if len(envelopes) > 1:
                raise
            broken = str(error)
        telemetry.alarmed("export_logs")
        log.error("%s: message %d becomes a dead letter: %s", partition, envelopes[0].sequence, broken)
        return plan.plan_commit(*arguments, broken=broken)

    def _run(
        self, partition: HubPartition, envelopes: Sequence[Envelope], planner: IsolatedPlanner | None = None
    ) -> list[CommitPlan]:
        held = self._cached(partition)
        need = self._need(envelopes)
        commits: list[CommitPlan] = []
        refusals = 0
        while True:
            steps = commit_telemetry.Steps()
            try:
                with steps("load"):
                    ledger, etag = held or self._load(partition)
                    held = None
                    ledger = self._known.refresh(ledger)
                with self._budget.hold(need):
                    with steps("plan"):
                        commit = self._plan(planner, partition, envelopes, ledger)
                    if commit is None:
                        break
                    _check_progress(partition, commits, envelopes)
                    etag = self._commit(partition, commit, ledger, etag, steps)
                    commits.append(commit.without_data())
                    held = self._publish(partition, commit, etag, steps)
                    del commit  # its bytes are stored, and the next plan needs the memory
            except LedgerError:
                telemetry.alarmed("export_logs")
                raise
            except PreconditionFailed as refusal:
                commit_telemetry.conflicted(partition)
                refusals += 1
                log.warning("%s: conflict (%d): %s", partition, refusals, refusal)
                if refusals == ATTEMPTS:
                    raise
                continue
            refusals = 0
        if etag is not None:
            with self._lock:
                self._cache[partition] = (ledger, etag)
        commit_telemetry.delivered(partition, len(envelopes), commits)
        return commits

    @property
    def policy(self) -> ExportPolicy:
        """The policy that decides what is exported."""
        return self._policy

    def _cached(self, partition: HubPartition) -> tuple[Ledger, str | None] | None:
        """Removes and returns the cached ledger and its ETag.

        Returns None if there is no entry, or if the timer may have emptied the ledger's list since: a write
        with this ETag would fail, and everything before it would be repeated.
        """
        with self._lock:
            held = self._cache.pop(partition, None)
        if held and held[0].files and self._now() - held[0].committed_at > PENDING:
            return None
        return held

    def _load(self, partition: HubPartition) -> tuple[Ledger, str | None]:
        """Step 1: loads the current ledger and publishes every file that it lists."""
        name = Ledger.name(partition)
        with self._lock:
            seen = self._seen.get(partition)
        seen = seen or self._known.seen(
            partition
        )  # read before the ledger, which may advance in the meantime
        blob = self._storage.read(name)
        if blob is None:
            if seen:
                raise LedgerMissing(
                    f"{name} existed with ordinal {seen[1]} and is missing; restore it, or accept a new one"
                )
            return Ledger(ledger_id=self._new_id(), partition=str(partition)), None
        ledger = Ledger.parse(blob.data, name)
        if seen and (ledger.ledger_id != seen[0] or ledger.ordinal < seen[1]):
            raise LedgerRolledBack(
                f"{name} is {ledger.ledger_id} ordinal {ledger.ordinal}, was {seen[0]} ordinal {seen[1]}: "
                "restore it, or accept the current one"
            )
        self._saw(partition, ledger)
        return repair(self._storage, name, ledger, blob.etag, self.stamp())

    def _commit(
        self,
        partition: HubPartition,
        commit: CommitPlan,
        before: Ledger,
        etag: str | None,
        steps: commit_telemetry.Steps,
    ) -> str:
        """Steps 3 and 4: stages the files and writes the ledger; returns its ETag."""
        name = Ledger.name(partition)
        data = commit.ledger.dump()
        with steps("stage"):
            self._storage.stage(commit.files)
            if commit.segment is not None:
                self._storage.put(commit.ledger.segments[-1].name, commit.segment)
            if commit.index is not None:
                self._storage.put(commit.ledger.indexes[-1].name, commit.index)
        with steps("write"):
            etag = self._storage.write(name, data, etag)
        self._saw(partition, commit.ledger)
        self._known.committed(before, commit.ledger, commit.segment)
        return etag

    def _publish(
        self, partition: HubPartition, commit: CommitPlan, etag: str, steps: commit_telemetry.Steps
    ) -> tuple[Ledger, str]:
        """Step 5: makes the files of the commit visible; returns the ledger and its ETag."""
        try:
            with steps("publish"):
                return publish(self._storage, Ledger.name(partition), commit.ledger, etag, self.stamp())
        finally:  # a commit counts even if publishing failed
            commit_telemetry.committed(partition, commit, steps, self._now())

    def _saw(self, partition: HubPartition, ledger: Ledger) -> None:
        with self._lock:
            self._seen[partition] = (ledger.ledger_id, ledger.ordinal)

    def _need(self, envelopes: Sequence[Envelope]) -> int:
        """Returns the bytes to reserve for planning. The inflated size of a body is not known in advance."""
        if any(envelope.body.startswith(GZIP) for envelope in envelopes):
            return max(self._policy.commit_bytes, self._policy.max_inflated)
        return min(self._policy.commit_bytes, sum(len(envelope.body) for envelope in envelopes))

    def stamp(self) -> Stamp:
        """Returns the id and the time of the next write."""
        return Stamp(self._new_id(), self._now())


def _check_progress(
    partition: HubPartition, commits: Sequence[CommitPlan], envelopes: Sequence[Envelope]
) -> None:
    """Raises LedgerError if commits never end: a message can be new only once and refill files only once."""
    if len(commits) > 2 * len(envelopes):
        raise LedgerError(
            f"{partition}: {counted(len(envelopes), 'message is', 'messages are')} still not "
            f"committed after {counted(len(commits), 'commit')}:"
            " this is a bug in the program"
        )
