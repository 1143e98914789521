"""Commits a partition's envelopes: load ledger, plan, stage, write ledger, publish; until none is left."""

import logging
import threading
from collections.abc import Callable, Sequence

from shared import deadline, telemetry
from shared.connections.start_times import StartTimes
from shared.errors import (
    ExporterError,
    LastResortError,
    LedgerError,
    LedgerMissing,
    LedgerRolledBack,
    PlanningBroke,
    PreconditionFailed,
)
from shared.export import plan
from shared.export.budget import ByteBudget
from shared.export.isolation import PLANNER, IsolatedPlanner, resolved
from shared.input.envelope import GZIP, Envelope, HubPartition
from shared.policies import ChildLimits, ExportPolicy
from shared.protocol.commit_plan import CommitPlan
from shared.protocol.ledger import Ledger
from shared.protocol.publishing import PENDING, publish, repair
from shared.protocol.selection import select
from shared.protocol.stamp import Stamp
from shared.protocol.storage import Storage

SECONDS = 120.0
"""How long a call of `run` may take: far less than `functionTimeout`, which would restart the worker."""
ATTEMPTS = 10
"""Consecutive refusals after which the invocation fails and the trigger's retry policy takes over."""

log = logging.getLogger(__name__)


class Exporter:
    """The exporter of a process, for all partitions it is given. Thread-safe."""

    def __init__(
        self,
        storage: Storage,
        policy: ExportPolicy,
        memory: int,
        now: Callable[[], int],
        new_id: Callable[[], str],
        staleness: int = 5_000_000,
        seconds: float = SECONDS,
        limits: ChildLimits | None = None,
        planner: str = PLANNER,
    ) -> None:
        """Takes its clock (µs since 1970 UTC) and its random ids (32 hexadecimal digits) from outside.

        `memory`: bytes of envelopes that all calls of `run` together work on at a time. `staleness`: so old,
        in µs, its knowledge of other partitions' connections may be. `seconds`: how long `run` may take,
        whatever storage does, with waiting for memory. `limits`: of planning one message in a child process.
        `planner`: the `module:function` that plans, for tests that need one that breaks.
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
        """Commits what is not committed yet of these envelopes, and returns the commits made, without data.

        When it returns, all of them are committed and their files are visible. Raises StorageError or
        LedgerError: then some may be; call it again with these or any other envelopes of the partition.
        Raises PlanningBroke if planning takes longer than the run may: then call `run_isolated`.
        """
        with deadline.within(self._seconds):
            return self._run(partition, envelopes)

    def run_isolated(self, partition: HubPartition, envelopes: Sequence[Envelope]) -> list[CommitPlan]:
        """As `run`, for a batch that may break this process: it is planned in a child process with limits.

        If the batch breaks the child, each message is planned and committed alone, and one that breaks it
        again becomes a dead letter with the reason `internal_error`. Raises LastResortError: then some are
        committed, and the next attempt should come here again.
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
                except PlanningBroke as error:
                    log.warning("%s: goes on message by message: %s", partition, error)
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
        """Step 2."""
        arguments = (partition, envelopes, ledger, self._known, self._policy, self.stamp())
        if planner is None:
            commit: CommitPlan | None = resolved(self._planner)(*arguments)
            if commit and deadline.left() <= 0:  # no fault of storage: the next attempt isolates the batch
                raise PlanningBroke(f"{partition}: the time of this run was up while the batch was planned")
            return commit
        if select(ledger, envelopes) is None:  # not worth a process
            return None
        try:
            return planner.make(*arguments)
        except PlanningBroke as error:
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
            steps = telemetry.Steps()
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
                    del commit  # its bytes are stored: the next plan needs the room
            except LedgerError:
                telemetry.alarmed("export_logs")
                raise
            except PreconditionFailed as refusal:
                telemetry.conflicted(partition)
                refusals += 1
                log.warning("%s: refused (%d): %s", partition, refusals, refusal)
                if refusals == ATTEMPTS:
                    raise
                continue
            refusals = 0
        if etag is not None:
            with self._lock:
                self._cache[partition] = (ledger, etag)
        telemetry.delivered(partition, len(envelopes), commits)
        return commits

    @property
    def policy(self) -> ExportPolicy:
        """What decides what is exported."""
        return self._policy

    def _cached(self, partition: HubPartition) -> tuple[Ledger, str | None] | None:
        """The ledger and its ETag as this process left them, taken out of the cache.

        None if there is no such entry, or if the timer may have emptied the ledger's list since: a write with
        this ETag would be refused, and everything before it done twice.
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
        seen = seen or self._known.seen(partition)  # asked before the ledger, which may go on meanwhile
        blob = self._storage.read(name)
        if blob is None:
            if seen:
                raise LedgerMissing(
                    f"{name}: was there with ordinal {seen[1]} and is gone: restore it, or accept a new one"
                )
            return Ledger(ledger_id=self._new_id(), partition=str(partition)), None
        ledger = Ledger.parse(blob.data, name)
        if seen and (ledger.ledger_id != seen[0] or ledger.ordinal < seen[1]):
            raise LedgerRolledBack(
                f"{name}: is {ledger.ledger_id} ordinal {ledger.ordinal}, was {seen[0]} ordinal {seen[1]}: "
                "restore it, or accept what is there"
            )
        self._saw(partition, ledger)
        return repair(self._storage, name, ledger, blob.etag, self.stamp())

    def _commit(
        self,
        partition: HubPartition,
        commit: CommitPlan,
        before: Ledger,
        etag: str | None,
        steps: telemetry.Steps,
    ) -> str:
        """Steps 3 and 4: stage, write the ledger; its ETag then."""
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
        self, partition: HubPartition, commit: CommitPlan, etag: str, steps: telemetry.Steps
    ) -> tuple[Ledger, str]:
        """Step 5."""
        try:
            with steps("publish"):
                return publish(self._storage, Ledger.name(partition), commit.ledger, etag, self.stamp())
        finally:  # what was committed counts, published or not
            telemetry.committed(partition, commit, steps, self._now())

    def _saw(self, partition: HubPartition, ledger: Ledger) -> None:
        with self._lock:
            self._seen[partition] = (ledger.ledger_id, ledger.ordinal)

    def _need(self, envelopes: Sequence[Envelope]) -> int:
        """Returns the bytes to reserve for planning. The inflated size of a body is not known in advance."""
        if any(envelope.body.startswith(GZIP) for envelope in envelopes):
            return max(self._policy.commit_bytes, self._policy.max_inflated)
        return min(self._policy.commit_bytes, sum(len(envelope.body) for envelope in envelopes))

    def stamp(self) -> Stamp:
        """The id and the time of the next write."""
        return Stamp(self._new_id(), self._now())


def _check_progress(
    partition: HubPartition, commits: Sequence[CommitPlan], envelopes: Sequence[Envelope]
) -> None:
    """Raises LedgerError for commits without end: a message is new once, and refills what was lost once."""
    if len(commits) > 2 * len(envelopes):
        raise LedgerError(
            f"{partition}: {len(commits)} commits of {len(envelopes)} messages, and no end:"
            " this is a fault of the program"
        )
