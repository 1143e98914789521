"""Commits the envelopes of a source: load ledger, plan, stage, write ledger, publish, until none is left."""

import logging
import threading
from collections.abc import Callable, Sequence

from shared import deadline, plan, telemetry
from shared.budget import ByteBudget
from shared.commit import PENDING, publish, recover
from shared.durations.known import Known
from shared.envelope import GZIP, Envelope, Source
from shared.errors import (
    ExporterError,
    LastResortError,
    LedgerError,
    LedgerMissing,
    LedgerRolledBack,
    PlanningBroke,
    Refused,
)
from shared.isolation import PLANNER, IsolatedPlanner, resolved
from shared.ledger import Ledger
from shared.rules import ChildLimits, Rules
from shared.selection import select
from shared.storage import Storage

SECONDS = 120.0
"""How long a call of `run` may take: far less than `functionTimeout`, which would restart the worker."""
ATTEMPTS = 10
"""Refusals in a row after which the invocation fails, and the trigger's retry policy takes over."""

log = logging.getLogger(__name__)


class Exporter:
    """The exporter of a process, for all sources it is given. Thread-safe."""

    def __init__(
        self,
        storage: Storage,
        rules: Rules,
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
        in µs, its knowledge of other sources' connections may be. `seconds`: how long `run` may take,
        whatever storage does, with waiting for memory. `limits`: of planning one message in a child process.
        `planner`: the `module:function` that plans, for tests that need one that breaks.
        """
        self._storage = storage
        self._rules = rules
        self._now = now
        self._new_id = new_id
        self._seconds = seconds
        self._limits = limits or ChildLimits()
        self._planner = planner
        self._isolated = threading.Lock()
        self._budget = ByteBudget(memory)
        self._lock = threading.Lock()
        self._cache: dict[Source, tuple[Ledger, str]] = {}
        self._seen: dict[Source, tuple[str, int]] = {}
        self._known = Known(storage, staleness, now)

    def run(self, source: Source, envelopes: Sequence[Envelope]) -> list[plan.Plan]:
        """Commits what is not committed yet of these envelopes, and returns the commits made, without data.

        When it returns, all of them are committed and their files are visible. Raises StorageError or
        LedgerError: then some may be; call it again with these or any other envelopes of the source.
        """
        with deadline.within(self._seconds):
            return self._run(source, envelopes)

    def run_one_by_one(self, source: Source, envelopes: Sequence[Envelope]) -> list[plan.Plan]:
        """As `run`, for a batch that may break this process: each message is planned and committed alone.

        Planning goes on in a child process with limits. A message that breaks it becomes a dead letter with
        the reason `internal_error`. Raises LastResortError: then some are committed, and the next attempt
        should come here again.
        """
        commits: list[plan.Plan] = []
        try:
            with (
                deadline.within(self._seconds),
                deadline.hold(self._isolated, "the child process of other partitions"),
                IsolatedPlanner(self._limits, self._planner) as planner,
            ):
                for envelope in envelopes:
                    commits += self._run(source, [envelope], planner)
        except ExporterError as error:
            raise LastResortError(f"message by message: {type(error).__name__}: {error}") from error
        return commits

    def _plan(
        self, planner: IsolatedPlanner | None, source: Source, envelopes: Sequence[Envelope], ledger: Ledger
    ) -> plan.Plan | None:
        """Step 2."""
        arguments = (source, envelopes, ledger, self._known, self._rules, self._stamp())
        if planner is None:
            commit: plan.Plan | None = resolved(self._planner)(*arguments)
            return commit
        if select(ledger, envelopes) is None:  # not worth a process
            return None
        try:
            return planner.make(*arguments)
        except PlanningBroke as error:
            broken = str(error)
        telemetry.alarmed("export_logs")
        log.error("%s: message %d becomes a dead letter: %s", source, envelopes[0].sequence, broken)
        return plan.make(*arguments, broken=broken)

    def _run(
        self, source: Source, envelopes: Sequence[Envelope], planner: IsolatedPlanner | None = None
    ) -> list[plan.Plan]:
        held = self._cached(source)
        need = self._need(envelopes)
        commits: list[plan.Plan] = []
        refusals = 0
        while True:
            steps = telemetry.Steps()
            try:
                with steps("load"):
                    ledger, etag = held or self._load(source)
                    held = None
                    ledger = self._known.refresh(ledger)
                with self._budget.hold(need):
                    with steps("plan"):
                        commit = self._plan(planner, source, envelopes, ledger)
                    if commit is None:
                        break
                    _check_progress(source, commits, envelopes)
                    etag = self._commit(source, commit, ledger, etag, steps)
                    commits.append(commit.without_data())
                    held = self._publish(source, commit, etag, steps)
                    del commit  # its bytes are stored: the next plan needs the room
            except LedgerError:
                telemetry.alarmed("export_logs")
                raise
            except Refused as refusal:
                telemetry.refused(source)
                refusals += 1
                log.warning("%s: refused (%d): %s", source, refusals, refusal)
                if refusals == ATTEMPTS:
                    raise
                continue
            refusals = 0
        if etag is not None:
            with self._lock:
                self._cache[source] = (ledger, etag)
        telemetry.delivered(source, len(envelopes), commits)
        return commits

    def _cached(self, source: Source) -> tuple[Ledger, str | None] | None:
        """The ledger and its ETag as this process left them, taken out of the cache.

        None if there is no such entry, or if the timer may have emptied the ledger's list since: a write with
        this ETag would be refused, and everything before it done twice.
        """
        with self._lock:
            held = self._cache.pop(source, None)
        if held and held[0].files and self._now() - held[0].committed_at > PENDING:
            return None
        return held

    def _load(self, source: Source) -> tuple[Ledger, str | None]:
        """Step 1: the ledger as it stands, with every file that it lists published."""
        name = Ledger.name(source)
        with self._lock:
            seen = self._seen.get(source)
        seen = seen or self._known.seen(source)  # asked before the ledger, which may go on meanwhile
        blob = self._storage.read(name)
        if blob is None:
            if seen:
                raise LedgerMissing(
                    f"{name}: was there with ordinal {seen[1]} and is gone: restore it, or adopt a new one"
                )
            return Ledger(ledger_id=self._new_id(), source=str(source)), None
        ledger = Ledger.parse(blob.data, name)
        if seen and (ledger.ledger_id != seen[0] or ledger.ordinal < seen[1]):
            raise LedgerRolledBack(
                f"{name}: is {ledger.ledger_id} ordinal {ledger.ordinal}, was {seen[0]} ordinal {seen[1]}: "
                "restore it, or adopt what is there"
            )
        self._saw(source, ledger)
        return recover(self._storage, name, ledger, blob.etag, self._stamp())

    def _commit(
        self, source: Source, commit: plan.Plan, before: Ledger, etag: str | None, steps: telemetry.Steps
    ) -> str:
        """Steps 3 and 4: stage, write the ledger; its ETag then."""
        name = Ledger.name(source)
        data = commit.ledger.dump()
        with steps("stage"):
            self._storage.stage(commit.files)
            if commit.segment is not None:
                self._storage.put(commit.ledger.segments[-1].name, commit.segment)
            if commit.index is not None:
                self._storage.put(commit.ledger.indexes[-1].name, commit.index)
        with steps("write"):
            etag = self._storage.write(name, data, etag)
        self._saw(source, commit.ledger)
        self._known.committed(before, commit.ledger, commit.segment)
        return etag

    def _publish(
        self, source: Source, commit: plan.Plan, etag: str, steps: telemetry.Steps
    ) -> tuple[Ledger, str]:
        """Step 5."""
        try:
            with steps("publish"):
                return publish(self._storage, Ledger.name(source), commit.ledger, etag, self._stamp())
        finally:  # what was committed counts, published or not
            telemetry.committed(source, commit, steps, self._now())

    def _saw(self, source: Source, ledger: Ledger) -> None:
        with self._lock:
            self._seen[source] = (ledger.ledger_id, ledger.ordinal)

    def _need(self, envelopes: Sequence[Envelope]) -> int:
        """Bytes that planning may work on at a time; what a compressed body comes to is not known before."""
        if any(envelope.body.startswith(GZIP) for envelope in envelopes):
            return max(self._rules.commit_bytes, self._rules.max_inflated)
        return min(self._rules.commit_bytes, sum(len(envelope.body) for envelope in envelopes))

    def _stamp(self) -> plan.Stamp:
        return plan.Stamp(self._new_id(), self._now())


def _check_progress(source: Source, commits: Sequence[plan.Plan], envelopes: Sequence[Envelope]) -> None:
    """Raises LedgerError for commits without end: a message is new once, and refills what was lost once."""
    if len(commits) > 2 * len(envelopes):
        raise LedgerError(
            f"{source}: {len(commits)} commits of {len(envelopes)} messages, and no end:"
            " this is a fault of the program"
        )
