"""Deletes or rolls back a ledger, which must stop its partition until the correct ledger is restored."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from shared.connections.timer import Finisher
from shared.errors import LedgerError, StorageError
from shared.policies import FinishPolicy
from shared.protocol.hub import HubState, Position
from shared.protocol.ledger import Ledger
from tests.simulation.invariants import violations
from tests.simulation.run import finish, turn
from tests.simulation.schedule import Choices, shrink
from tests.simulation.world import PARTITION, Options, World

NAME = Ledger.name(PARTITION)


@dataclass
class Watched(World):
    """A world whose timers also remember which ledgers they have seen."""

    problems: list[str] = field(default_factory=list)

    def ask(self) -> HubState:
        """See shared.protocol.hub.Hub."""
        last = self.hubs[-1][-1] if self.hubs[-1] else None
        position = Position(last.sequence if last else -1, last.enqueued if last else -1, empty=last is None)
        return HubState(0, {PARTITION: position})

    def watch(self) -> None:
        """Runs the timer once."""
        Finisher(self.storage, self, FinishPolicy(), lambda: self.now, self._new_id).run(600)

    def _repair(self) -> None:
        try:
            self.watch()
        except (StorageError, LedgerError) as error:
            self.log.append(f"  timer: {type(error).__name__}")

    def lose(self, how: str) -> bytes | None:
        """Deletes or rolls back the ledger that a timer has seen, and returns that ledger."""
        self.stop_all()
        self.late.clear()  # an operator is slower than any request
        self.watch()
        right = self.storage.state.get(NAME)
        if right is None:
            return None
        if how == "deleted":
            del self.storage.state[NAME]
        else:
            ordinal = Ledger.parse(right.data, NAME).ordinal
            older = [one for one in self.snapshots if Ledger.parse(one, NAME).ordinal < ordinal]
            if not older:
                return None
            self.storage._put(NAME, self.choices.one(older))
        self.log.append(f"the ledger is {how} by hand")
        return right.data

    def ledger_data(self) -> bytes | None:
        blob = self.storage.state.get(NAME)
        return blob.data if blob else None


def run(choices: Choices, options: Options) -> Watched:
    """Loses the ledger, lets everybody continue, restores the ledger, and delivers everything again."""
    # Only after a timer has seen it: an earlier loss cannot be detected.
    world = Watched(choices, replace(options, ledger_lost=""))
    world.produce(2 + choices.below(5))
    for _ in range(30 + choices.below(100)):
        turn(world)
        if choices.happens(100) and (now := world.ledger_data()):
            world.snapshots.append(now)
    if right := world.lose(options.ledger_lost):
        wrong = world.ledger_data()
        for _ in range(30 + choices.below(100)):
            turn(world)
        world.checkpoint = 0
        world.start_owner()
        finish(world)
        if world.ledger_data() != wrong:
            world.problems.append("the partition went on with the wrong ledger")
        if not world.stopped_by_alarm:
            world.problems.append("there was no alarm")
        world.storage._put(NAME, right)
        world.log.append("the right ledger is put back")
    world.stop_all()
    world.checkpoint = 0
    for _ in range(2):
        world.start_owner()
        finish(world)
        world.start_timer()
        finish(world)
    return world


def problems(world: Watched) -> Iterator[str]:
    """Yields what happened while the partition had to be stopped, and the invariants violated afterward."""
    yield from world.problems
    yield from violations(world)


def explain(seed: int, options: Options) -> str | None:
    """See tests.simulation.run.explain."""
    world = run(Choices(seed), options)
    if not next(problems(world), None):
        return None
    small = shrink(
        world.choices.taken,
        lambda taken: next(problems(run(Choices(taken=taken), options)), None) is not None,
        400,
    )
    world = run(Choices(taken=small), options)
    return "\n".join([f"seed {seed}, {options}", *world.log, "VIOLATED:", *problems(world)])
