"""A world in which the real commit code runs: hubs, storage, owners and a timer, one storage call at a time.

Every actor is a greenlet that stops before each storage call. The schedule decides which actor continues, and
the outcome of the call. Nothing else is random, so a list of choices always gives the same run.
"""

import gzip
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, partial
from typing import Any, cast

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from greenlet import GreenletExit, getcurrent, greenlet

from shared.audit.evidence import Level
from shared.commands.missing_events import redeliver
from shared.compaction import compaction_state
from shared.compaction.compaction_state import CompactionState, Swap
from shared.compaction.compactor import Compactor
from shared.connections.checkpoint_watch import CheckpointWatch
from shared.connections.manifest import Manifest
from shared.connections.repair import Repair
from shared.erasure.file_eraser import Eraser
from shared.erasure.selection import Selection
from shared.errors import HubError, LedgerError, OutcomeUnknown, PreconditionFailed, StorageError
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.input.rejections import Reason
from shared.intervals import Interval
from shared.output.layout import is_delta_log
from shared.policies import CompactionPolicy, ExportPolicy
from shared.protocol.checkpoints import Checkpoint
from shared.protocol.hub import Fetched, HubState, Position
from shared.protocol.ledger import Ledger
from shared.protocol.publishing import repair_ledger
from shared.protocol.stamp import Stamp
from shared.protocol.storage import Blob
from shared.timeunits import DAY, HOUR, SECOND
from tests import records
from tests.audits import audited
from tests.memory import MemoryStorage, Output
from tests.records import EPOCH
from tests.simulation.delta import DeltaWatch, OlderCompactor
from tests.simulation.schedule import Choices

PARTITION = HubPartition("sim", "hub", "0")
QUIET = 3600 * SECOND
COMPACTING = CompactionPolicy(quiet=timedelta(microseconds=QUIET), target=40_000, reach=timedelta(days=1))
HIM, HER = "10.0.0.1", "10.0.0.11"
ERASING = Selection("Source", (HIM,))

FAULTS = (
    "none",
    "lost answer",
    "not sent",
    "sdk retry",
    "late",
    "late after sdk retry",
    "crash before",
    "crash after",
)


@dataclass(frozen=True)
class Options:
    """The faults and actors of a world."""

    faults: int = 150
    """The number of storage calls in a thousand that fail."""
    commit_bytes: int = 1500
    """Small enough to split a batch into several commits."""
    skew: int = 0
    """Seconds by which enqueued times may jump back, because the clocks of a hub's nodes differ."""
    checkpoint_leak: bool = False
    """A killed owner's checkpoint may be ahead of its commits (a timeout moves it)."""
    rewind: bool = False
    """An operator rewinds the checkpoint at the end, and everything is delivered again."""
    recreate: bool = False
    """The hub is re-created, so its sequence numbers start over; owners of the old one keep running."""
    remove: bool = False
    """Lifecycle rules and compaction delete published files that no ledger lists."""
    week: bool = False
    """Everything stops for eight days, and blocks expire."""
    compact: bool = False
    """Files are Parquet, and compactors join them; a call given up an hour ago never arrives."""
    lost_ownership: bool = False
    """An owner that lost its partition cannot reach storage for a while, and then continues its old batch."""
    kept: bool = False
    """The hub is re-created, and the checkpoint of the old one is kept, as Azure does."""
    delta: bool = False
    """Compactors of the newer program maintain Delta logs."""
    rivals: bool = False
    """Three compactors run at a time."""
    keep: int = 0
    """Hours for which replaced files stay for readers of older snapshots."""
    retention: int = 0
    """Hours after which a lifecycle rule deletes files; 0: no rule."""
    hand: bool = False
    """Somebody deletes outputs of swaps that are in progress."""
    restored: str = ""
    """`output` or `state`: that account is restored to an earlier state, once, and the other one is not."""
    erase: str = ""
    """Somebody erases the rows of one client from files of this format, again and again."""
    ledger_lost: str = ""
    """`deleted` or `restored`: what an operator does to the ledger."""


@dataclass
class Call:
    """A storage call that an actor is about to make."""

    kind: str
    name: str
    effect: Callable[[], Any]


class Actor:
    """A thread of control in the world that advances by one storage call at a time."""

    def __init__(self, name: str, main: Callable[[], None]) -> None:
        self.name = name
        self._green = greenlet(lambda _: main())
        self._answer: Any = None
        self._error: StorageError | None = None

    def advance(self, do: Callable[[Call], tuple[Any, StorageError | None] | None]) -> bool:
        """Makes the pending call and runs on to the next one. Returns False if it has ended or died."""
        call = self._green.throw(self._error) if self._error else self._green.switch(self._answer)
        self._answer = self._error = None
        if self._green.dead:
            return False
        answered = do(call)
        if answered is None:
            self.kill()
            return False
        self._answer, self._error = answered
        return True

    def kill(self) -> None:
        if not self._green.dead:
            self._green.throw(GreenletExit)


class SimulatedStorage(MemoryStorage):
    """Passes every call of an actor to the world, and waits for the answer."""

    abandon: Callable[[Call], None]
    """Takes a pending call after a parallel one failed: no caller waits for it."""

    def calls_of[T](self, kind: str, names: Sequence[str], effect: Callable[[str], T]) -> list[T]:
        answers: list[T] = []
        for at, name in enumerate(names):
            try:
                answers.append(self.call(kind, name, partial(effect, name)))
            except StorageError:
                for other in names[at + 1 :]:
                    self.abandon(Call(kind, other, partial(effect, other)))
                raise
        return answers

    def call[T](self, kind: str, name: str, effect: Callable[[], T]) -> T:
        parent = getcurrent().parent
        if parent is None:
            return effect()
        answer: T = parent.switch(Call(kind, name, effect))
        return answer


@dataclass
class World:
    """One partition, its hub, and its actors."""

    choices: Choices
    options: Options
    now: int = EPOCH
    hubs: list[list[Envelope]] = field(default_factory=lambda: [[]])
    created: list[int] = field(default_factory=lambda: [EPOCH - DAY])
    """When each hub was created."""
    checkpoint: int = 0
    """The number of the event at which delivery begins."""
    checkpointed: int = 0
    """When the checkpoint was written; 0: there is no checkpoint."""
    unlisted: list[str] = field(default_factory=list)
    """Events that are neither exported, nor a gap, nor still to come, after the timer reached the hub."""
    actors: list[Actor] = field(default_factory=list)
    late: list[tuple[str, Call]] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    """Rows that were visible and then temporarily invisible."""
    alarms: list[str] = field(default_factory=list)
    """Alarms of compactors, and of publishers whose files are gone."""
    refuted: list[str] = field(default_factory=list)
    """Findings of auditors during the schedule."""
    deleted: set[str] = field(default_factory=set)
    """Files that other actors deleted."""
    cut_off: set[str] = field(default_factory=set)
    """Owners that cannot reach storage."""
    removed: Counter[str] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)
    stuck: str = ""
    snapshots: list[bytes] = field(default_factory=list)
    erased: set[str] = field(default_factory=set)
    """Rows that were visible before a run of an eraser, but not after it."""
    returned: list[str] = field(default_factory=list)
    """Erased rows that were visible again later."""
    left: dict[str, str] = field(default_factory=dict)
    """Files that the last eraser could not replace, and why."""
    saved: dict[str, Blob] | dict[str, Output] | None = None
    """An earlier state of the account that is restored."""
    restorations: int = 0
    stopped_by_alarm: bool = False

    def __post_init__(self) -> None:
        hierarchical = self.choices.happens(500)
        self.storage = SimulatedStorage(lambda: self.now, hierarchical=hierarchical)
        self.storage.abandon = self._abandon
        formats = (self.options.erase or ("parquet" if self.options.compact else "json"),)
        self.policy = ExportPolicy(formats=formats, commit_bytes=self.options.commit_bytes)
        keep, retention = self.options.keep * HOUR, self.options.retention * HOUR
        self.delta = (
            DeltaWatch(self, keep, retention, may_erase=self.may_erase) if self.options.delta else None
        )
        self.compacting = COMPACTING
        if self.options.delta:
            self.compacting = replace(
                COMPACTING,
                delta=True,
                keep=timedelta(microseconds=keep),
                retention=timedelta(microseconds=retention),
            )
        self._ids = 0
        self._names = 0

    # -- the hub ---------------------------------------------------------------------------------

    def produce(self, envelopes: int) -> None:
        """Sends envelopes like Azure Monitor, with none or several valid, foreign and invalid records."""
        hub, generation = self.hubs[-1], len(self.hubs) - 1
        for _ in range(envelopes):
            self.now += self.choices.one((0, 1000, 40_000, 3 * SECOND))
            enqueued = self.now - (
                self.choices.below(self.options.skew + 1) * SECOND if self.options.skew else 0
            )
            sequence = len(hub)
            sent = [
                self._record(f"g{generation}-s{sequence}-i{index}", enqueued, self.choices.below(12))
                | self._client(sequence + index)
                for index in range(self.choices.one((1, 0, 2, 3)))
            ]
            whole = records.body(*sent)
            body = f"{{g{generation}-s{sequence}-i0".encode() if self.choices.below(12) == 11 else whole
            hub.append(Envelope(sequence, enqueued, body))

    @staticmethod
    def _record(identity: str, enqueued: int, kind: int) -> dict[str, Any]:
        hour_before = kind % 2 * HOUR
        category = "GatewayLogs" if kind == 10 else "WebSocketConnectionLogs"
        record = records.record(enqueued - hour_before, identity, "Message", category=category)
        if kind == 11:
            del record["time"]
        return record

    def _client(self, number: int) -> dict[str, Any]:
        """Returns the client of a record, which matters if rows are erased."""
        client = HIM if number % 3 == 0 else HER
        return {"properties": {"eventName": "M", "source": client}} if self.options.erase else {}

    # -- actors ----------------------------------------------------------------------------------

    def start_owner(self) -> None:
        self._names += 1
        generation = len(self.hubs) - 1
        name = f"owner{self._names}"
        self.actors.append(Actor(name, lambda: self._own(name, generation)))

    def start_timer(self) -> None:
        self._names += 1
        self.actors.append(Actor(f"timer{self._names}", self._repair))

    def come_to_rest(self) -> None:
        """Commits everything that was produced, and lets hours pass, also for running compactors."""
        # Without the timer, the ledger still lists the files of its last commit.
        starts = (self.start_owner, self.start_timer)[: 1 + self.choices.happens(700)]
        for start in starts:
            start()
            while others := [one for one in self.actors if not one.name.startswith("compactor")]:
                self.step(self.choices.one(others), faults=False)
        self.now += 4 * QUIET

    def start_redelivery(self) -> None:
        self._names += 1
        self.actors.append(Actor(f"redelivery{self._names}", self._redeliver))

    def start_compactor(self) -> None:
        """Ends a quiet hour: some requests that were given up in it will never arrive."""
        self.now += self.choices.one((10, 70, 190)) * 60 * SECOND
        self._names += 1
        older = self.options.delta and self.choices.happens(300)
        run = partial(self._compact, OlderCompactor, COMPACTING) if older else self._compact
        self.actors.append(Actor(f"compactor{self._names}", run))

    def run_compactor(self, *, enabled: bool) -> None:
        """Starts a compactor of the newest program."""
        self._names += 1
        run = partial(self._compact, Compactor, replace(self.compacting, enabled=enabled))
        self.actors.append(Actor(f"compactor{self._names}", run))

    def start_eraser(self) -> None:
        """Most files are old enough by now."""
        self.now += self.choices.one((10, 70, 190)) * 60 * SECOND
        self.run_eraser()

    def run_eraser(self) -> None:
        self._names += 1
        self.actors.append(Actor(f"eraser{self._names}", self._erase))

    def start_auditor(self) -> None:
        self._names += 1
        self.actors.append(Actor(f"auditor{self._names}", self._audit))

    def _own(self, name: str, generation: int) -> None:
        """Runs a host: processes batches from the checkpoint on, and retries each until it succeeds."""
        exporter = Exporter(self.storage, self.policy, 1 << 30, lambda: self.now, self._new_id)
        position = self.checkpoint
        if 0 < self.checkpointed < self.created[generation] and position > len(self.hubs[generation]):
            return  # "The supplied offset is invalid"
        alarms = 0
        while generation == len(self.hubs) - 1 or self.choices.happens(500):
            batch = self.hubs[generation][position : position + 1 + self.choices.below(5)]
            if not batch:
                return
            try:
                exporter.run(PARTITION, batch)
            except StorageError as error:
                self.log.append(f"  {name}: {type(error).__name__}, the batch is sent again")
                continue
            except LedgerError as error:
                alarms += 1
                self.log.append(f"  {name}: {error}")
                if alarms == 3:
                    self.stopped_by_alarm = True
                    return
                continue
            position += len(batch)
            if generation == len(self.hubs) - 1:
                self.checkpoint, self.checkpointed = position, self.now

    def _repair(self) -> None:
        try:
            state = self.state()
            mending = Repair(self.storage, lambda: self.now, self._new_id)
            watch = CheckpointWatch(self.storage, self, self, lambda: self.now)
            checkpoints = watch.read(state, self.log.append)
            mending.repair(Manifest(), state, checkpoints, self.log.append)
            watch.run(state, checkpoints, self.log.append)
            repair_ledger(self.storage, Ledger.name(PARTITION), self._stamp())
        except StorageError as error:
            self.log.append(f"  timer: {type(error).__name__}")

    def read(self, _hub: Iterable[HubPartition]) -> Mapping[HubPartition, Checkpoint]:
        """See shared.protocol.checkpoints.Checkpoints."""

        def effect() -> Mapping[HubPartition, Checkpoint]:
            if not self.checkpointed:
                return {}
            etag = f"{self.checkpoint} {self.checkpointed}"
            return {PARTITION: Checkpoint(PARTITION, self.checkpoint - 1, "", self.checkpointed, etag)}

        return self.storage.call("checkpoints", "", effect)

    def delete(self, checkpoint: Checkpoint) -> None:
        """See shared.protocol.checkpoints.Checkpoints."""

        def effect() -> None:
            if checkpoint.etag != f"{self.checkpoint} {self.checkpointed}":
                raise PreconditionFailed("delete: the checkpoint has changed")
            self.checkpoint = self.checkpointed = 0

        self.storage.call("delete checkpoint", "", effect)

    def write(self, partition: HubPartition, offset: str, sequence: int, before: Checkpoint | None) -> None:
        """See shared.protocol.checkpoints.Checkpoints."""
        raise NotImplementedError

    def fetch(self, partition: HubPartition, first: int, last: int) -> list[Fetched]:
        """See shared.commands.missing_events.HubReader."""

        def effect() -> list[Fetched]:
            return [Fetched(one, "") for one in self.hubs[-1][first : last + 1][: 1 + self.choices.below(3)]]

        return self.storage.call("fetch", str(partition), effect)

    def state(self) -> HubState:
        """See shared.commands.missing_events.HubReader."""
        return self.storage.call("ask", "hub", self._state)

    def _state(self) -> HubState:
        hub = self.hubs[-1]
        newest = hub[-1].enqueued if hub else -1
        return HubState(self.created[-1], {PARTITION: Position(len(hub) - 1, newest, empty=not hub)})

    def _redeliver(self) -> None:
        exporter = Exporter(self.storage, self.policy, 1 << 30, lambda: self.now, self._new_id)
        try:
            redeliver(
                self.storage,
                self,
                exporter,
                lambda _: True,
                dry_run=False,
                missing_files=bool(self.options.restored),
                progress=lambda *_: None,
            )
        except (StorageError, HubError, LedgerError) as error:
            self.log.append(f"  redelivery: {error}")

    def _compact(self, kind: type[Compactor] = Compactor, policy: CompactionPolicy | None = None) -> None:
        compactor = kind(self.storage, policy or self.compacting, lambda: self.now, self._new_id)
        try:
            alarms = compactor.run(1 << 30).alarms
            # An older program is rejected on purpose once there is a log.
            self.alarms += alarms if kind is Compactor else []
        except StorageError as error:
            self.log.append(f"  compactor: {type(error).__name__}")

    def _erase(self) -> None:
        eraser = Eraser(self.storage, self.compacting, ERASING, lambda: self.now, self._new_id)
        before = self.his()
        try:
            done = eraser.erase(lambda *_: None)
        except (StorageError, LedgerError) as error:
            self.log.append(f"  eraser: {type(error).__name__}")
            return
        self.alarms += done.alarms + done.unreadable
        self.left = done.left
        self.erased |= before - self.his()

    def may_erase(self, name: str) -> bool:
        """Whether an eraser may have removed this row."""
        return bool(self.options.erase) and is_his(name)

    def his(self) -> set[str]:
        """Returns the visible rows that are to be erased."""
        return {name for name in self.visible() if is_his(name)}

    def _audit(self) -> None:
        with suppress(StorageError):
            report = audited(self.storage, deep=False)
            self.refuted += [
                one.message
                for partition in report.partitions
                for one in partition.findings
                if one.level is Level.REFUTED
            ]

    def _stamp(self) -> Stamp:
        return Stamp(self._new_id(), self.now)

    def _new_id(self) -> str:
        self._ids += 1
        return f"{self._ids:032x}"

    def lose_ownership(self) -> None:
        """Gives the partition to another instance; this one continues until it succeeds."""
        owners = [one.name for one in self.actors if one.name.startswith("owner")]
        if self.cut_off:
            self.log.append(f"{', '.join(self.cut_off)} reaches storage again")
            self.cut_off.clear()
        elif owners:
            self.cut_off.add(self.choices.one(owners))
            self.log.append(f"{', '.join(self.cut_off)} cannot reach storage, and another owner begins")
            self.start_owner()

    def kill(self, actor: Actor) -> None:
        """Kills a process between two calls."""
        actor.kill()
        self.actors.remove(actor)
        self.log.append(f"{actor.name} is killed")

    # -- faults ----------------------------------------------------------------------------------

    def step(self, actor: Actor, *, faults: bool) -> None:
        """Makes one storage call of an actor."""
        if not actor.advance(lambda call: self._answer(actor, call, faults=faults)):
            self.actors.remove(actor)

    def _answer(self, actor: Actor, call: Call, *, faults: bool) -> tuple[Any, StorageError | None] | None:
        fault = "none"
        if faults and actor.name in self.cut_off:
            self.log.append(f"{actor.name}: {call.kind} does not reach storage")
            return None, OutcomeUnknown(f"{call.kind} {call.name}: no answer")
        # A failed listing ends its run. With many listings, nothing else would be tested.
        if faults and call.kind != "outputs" and self.choices.happens(self.options.faults):
            fault = self.choices.one(FAULTS[1:])
        answer: tuple[Any, StorageError | None] | None
        unclear = (None, OutcomeUnknown(f"{call.kind} {call.name}: no answer"))
        match fault:
            case "none":
                answer = self._attempt(call)
            case "lost answer":
                self._attempt(call)
                answer = unclear
            case "not sent":
                answer = unclear
            case "sdk retry":
                self._attempt(call)
                answer = self._attempt(call)
            case "late":
                self._delay(actor.name, call)
                answer = unclear
            case "late after sdk retry":
                self._delay(actor.name, call)
                answer = self._attempt(call)
            case "crash before":
                answer = None
            case _:
                self._attempt(call)
                answer = None
        short = call.name.rsplit("/", 1)[-1]
        outcome = "died" if answer is None else (answer[1] and type(answer[1]).__name__) or "ok"
        self.log.append(f"{actor.name}: {call.kind} {short} [{fault}] -> {outcome}")
        owner = actor.name.startswith("owner")
        if answer is None and owner and self.options.checkpoint_leak and self.choices.happens(500):
            self.checkpoint = min(len(self.hubs[-1]), self.checkpoint + 2)
            self.checkpointed = self.now
            self.log.append(f"  its checkpoint moved all the same, to {self.checkpoint}")
        return answer

    def _abandon(self, call: Call) -> None:
        """Drops or delays another one of several calls after one of them failed and ended the run."""
        if self.choices.happens(500):
            self._delay("a run that failed", call)

    def _delay(self, name: str, call: Call) -> None:
        since, effect = self.now, call.effect

        def arrive() -> Any:
            # Both together would bring back a deleted file; in reality, a quiet hour lies between them.
            bound = call.kind in {"stage", "publish"} or (call.kind == "put output" and self.options.delta)
            if self.options.compact and bound and self.now - since >= QUIET:
                raise OutcomeUnknown(f"{call.kind} {call.name}: never arrived")
            return effect()

        self.late.append((name, Call(call.kind, call.name, arrive)))

    def _attempt(self, call: Call) -> tuple[Any, StorageError | None]:
        """Makes a call, and checks that deleting a file hides no row."""
        before = self.visible() if call.kind == "remove" else Counter()
        answer = attempt(call)
        if before:
            gone = before.keys() - self.visible().keys()
            self.hidden += [name for name in gone if not self.may_erase(name)]
        if self.delta and call.kind in {"remove", "publish", "put output"}:
            self.delta.look()
        return answer

    def deliver_late(self) -> None:
        """Delivers a request that its sender gave up long ago."""
        name, call = self.late.pop(self.choices.below(len(self.late)))
        outcome = self._attempt(call)[1] or "ok"
        self.log.append(f"late call of {name}: {call.kind} {call.name.rsplit('/', 1)[-1]} -> {outcome}")

    def recreate_hub(self) -> None:
        # Its owners still hold uncommitted events when the hub is deleted.
        self.produce(self.choices.below(6))
        self.now += self.choices.one((3600, 60)) * SECOND
        if self.options.kept and self.checkpointed:
            # A checkpoint is an offset in bytes, at which events of another size differ.
            self.checkpoint = self.choices.below(2 * len(self.hubs[-1]) + 2)
        else:
            self.checkpoint = self.checkpointed = 0
        self.hubs.append([])
        self.created.append(self.now)
        self.now += 10 * SECOND
        self.log.append(f"the hub is re-created (incarnation {len(self.hubs) - 1})")
        self.produce(1 + self.choices.below(8))
        self.start_owner()

    def remove_file(self) -> None:
        # Compaction reads the ledger first; a lifecycle rule does not, but deletes only old files.
        ledger = self.ledger() if self.options.week else None
        keep = {file.name for file in ledger.files} if ledger else set()
        keep |= {call.name for _, call in self.late}
        names = sorted(
            name
            for name in self.storage.output
            if self.storage.visible(name) and name not in keep and not is_delta_log(name)
        )
        if names:
            name = self.choices.one(names)
            self.removed += Counter(self.rows(name))
            self.storage.remove_output(name)
            self.log.append(f"deleted by lifecycle or compaction: {name}")

    def delete_output(self) -> None:
        """Deletes the output of the swap in progress, which may have replaced some files already."""
        swap = self.swap()
        if swap and self.storage.visible(swap.output.name):
            self.delete_file(swap.output.name)

    def expire_files(self) -> None:
        """Deletes old files, like a lifecycle rule."""
        oldest = self.now - self.options.retention * HOUR
        for name, blob in sorted(self.storage.output.items()):
            if self.storage.visible(name) and int(blob.metadata.get("committed_at", oldest)) < oldest:
                self.delete_file(name)
        assert self.delta
        self.delta.look()

    def delete_file(self, name: str) -> None:
        """Deletes a file from outside: its rows are gone unless another file has them."""
        rows = Counter(self.rows(name))
        self.storage.remove_output(name)
        self.removed += Counter(rows.keys() - self.visible().keys())
        self.deleted.add(name)
        self.log.append(f"deleted: {name}")

    def pass_a_week(self) -> None:
        for actor in self.actors:
            actor.kill()
        self.actors.clear()
        self.late.clear()
        self.now += 8 * DAY
        self.log.append("all stops for eight days")

    def save_or_restore(self) -> None:
        """Copies an account, or restores the copy, so that everything later is gone."""
        if self.restorations:
            return
        output = self.options.restored == "output"
        if self.saved is None or self.choices.happens(300):
            if Ledger.name(PARTITION) in self.storage.state:
                self.saved = deepcopy(self.storage.output) if output else dict(self.storage.state)
                self.log.append("a copy is made")
            return
        self.restorations += 1
        self.late.clear()
        if not output or self.choices.happens(500):
            self.stop_all()  # an account can fail over while the app keeps running
        self.log.append(f"the account of the {self.options.restored} is restored")
        if output:
            self.storage.output = cast("dict[str, Output]", self.saved)
            return
        self.storage.state = cast("dict[str, Blob]", self.saved)
        # The app starts after the ledgers have recorded what the output has.
        for start in (self.start_timer, self.start_redelivery):
            start()
            while self.actors:
                self.step(self.actors[0], faults=False)

    def touch_ledger(self) -> None:
        name = Ledger.name(PARTITION)
        if name not in self.storage.state:
            return
        if self.options.ledger_lost == "deleted":
            del self.storage.state[name]
            self.log.append("the ledger is deleted by hand")
        elif not self.snapshots or self.choices.happens(600):
            self.snapshots.append(self.storage.state[name].data)
        else:
            self.storage._put(name, self.choices.one(self.snapshots))
            self.log.append("an older ledger is restored by hand")

    def stop_all(self) -> None:
        for actor in self.actors:
            actor.kill()
        self.actors.clear()

    # -- the outcome -------------------------------------------------------------------------------

    def ledger(self) -> Ledger | None:
        blob = self.storage.state.get(Ledger.name(PARTITION))
        return Ledger.parse(blob.data, "ledger") if blob else None

    def left_gaps(self) -> list[Interval]:
        """Returns the sequence numbers of the current hub that the ledger lacks."""
        ledger = self.ledger()
        return list(ledger.incarnation.gaps) if ledger else []

    def swap(self) -> Swap | None:
        """Returns the swap that compaction has committed but not finished."""
        blob = self.storage.state.get(compaction_state.NAME)
        return CompactionState.parse(blob.data).swap if blob else None

    def rows(self, name: str) -> Iterator[str]:
        """Yields the ids of the rows and dead letters of a visible file."""
        blob = self.storage.output[name]
        assert blob.data is not None
        if name.endswith(".parquet"):
            yield from _ids(blob.data)
            return
        for line in gzip.decompress(blob.data).splitlines():
            row = orjson.loads(line)
            if "CorrelationId" in row:
                yield row["CorrelationId"]
            else:
                kind = "quarantined" if row["rejections"][0]["reason"] == Reason.OLDER_INCARNATION else "dead"
                found = re.search(r"g\d+-s\d+", row.get("body", ""))
                erased = f"g{row['incarnation']}-s{row['sequence']}" if "erased" in row else row
                yield f"{kind} {found[0] if found else erased}"

    def visible(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for name in sorted(self.storage.output):
            if self.storage.visible(name) and not is_delta_log(name):
                found.update(self.rows(name))
        return found


@cache
def _ids(data: bytes) -> list[str]:
    ids: list[str] = pq.read_table(pa.BufferReader(data), columns=["CorrelationId"])[0].to_pylist()
    return ids


def is_his(name: str) -> bool:
    """Whether this is a record of the client whose rows are erased."""
    found = re.fullmatch(r"g\d+-s(\d+)-i(\d+)", name)
    return found is not None and (int(found[1]) + int(found[2])) % 3 == 0


def attempt(call: Call) -> tuple[Any, StorageError | None]:
    try:
        return call.effect(), None
    except StorageError as error:
        return None, error
