"""A ledger that is deleted or rolled back by hand stops its source, until the right one is put back."""

from collections.abc import Iterator
from dataclasses import dataclass

from shared.errors import StorageError
from shared.finish import Finisher
from shared.hub import Position, State
from shared.ledger import Ledger
from shared.settings import Finishing
from shared.storage import Blob
from tests.simulation.laws import broken
from tests.simulation.run import finish, turn
from tests.simulation.schedule import Choices
from tests.simulation.world import SOURCE, Options, World

NAME = Ledger.name(SOURCE)


class Watched(World):
    """A world whose timers do all that a timer does: they keep in mind which ledger they have seen."""

    def ask(self) -> State:
        """See shared.hub.Hub."""
        last = self.hubs[-1][-1] if self.hubs[-1] else None
        position = Position(last.sequence if last else -1, last.enqueued if last else -1, empty=last is None)
        return State(0, {SOURCE: position})

    def _heal(self) -> None:
        try:
            Finisher(self.storage, self, Finishing(), lambda: self.now, self._new_id).run(600)
        except StorageError as error:
            self.log.append(f"  timer: {type(error).__name__}")

    def owners_of_nothing(self) -> list[str]:
        """Which sequence numbers the ledger covers is what counts; this names what is visible."""
        return sorted(self.visible())


@dataclass
class Stopped:
    """A world after its schedule, and what went wrong while its source had to stand still."""

    world: World
    problems: list[str]


def run(choices: Choices, options: Options) -> Stopped:
    """The ledger is seen by a timer, then lost; everybody goes on; then it is put back."""
    world = Watched(choices, options)
    world.produce(2 + choices.below(5))
    for _ in range(30 + choices.below(100)):
        turn(world)
    problems: list[str] = []
    right = _seen(world)
    if right and _lose(world, options):
        wrong = world.storage.state.get(NAME)
        world.log.append(f"the ledger is {options.ledger_lost} by hand")
        for _ in range(50 + choices.below(100)):
            turn(world)
        world.start_owner()
        finish(world)
        found = world.storage.state.get(NAME)
        if (found and found.data) != (wrong and wrong.data):
            problems.append(f"the source went on from {_said(wrong)} to {_said(found)}")
        world.storage._put(NAME, right.data)
        world.log.append("the right ledger is put back")
    world.stop_all()
    world.checkpoint = 0
    for _ in range(2):
        world.start_owner()
        finish(world)
        world.start_timer()
        finish(world)
    return Stopped(world, problems)


def _seen(world: Watched) -> Blob | None:
    """The ledger, after a timer has seen it."""
    world.stop_all()
    world._heal()
    return world.storage.state.get(NAME)


def _lose(world: World, options: Options) -> bool:
    """What an operator's hand does to the ledger; False: there was no older one to put in its place."""
    if options.ledger_lost == "deleted":
        del world.storage.state[NAME]
        return True
    return False


def _said(blob: Blob | None) -> str:
    return f"ordinal {Ledger.parse(blob.data, NAME).ordinal}" if blob else "none"


def problems(stopped: Stopped) -> Iterator[str]:
    """What was done while the source had to stand still, and the laws that do not hold afterwards."""
    yield from stopped.problems
    yield from broken(stopped.world)
