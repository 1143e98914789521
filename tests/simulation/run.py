"""Runs one schedule of a world: a while with everything that may go wrong, then to the end without."""

from collections.abc import Sequence

from tests.simulation.laws import broken
from tests.simulation.schedule import Choices, shrink
from tests.simulation.world import Options, World

ENOUGH = 20_000


def run(choices: Choices, options: Options) -> World:
    """A world after its schedule: faults end, everybody finishes, everything is delivered once more."""
    world = World(choices, options)
    world.produce(2 + choices.below(5))
    for _ in range(20 + choices.below(60)):
        turn(world)
    world.log.append("--- from here on nothing goes wrong")
    if options.rewind or choices.happens(300):
        world.stop_all()
    if options.rewind:
        world.checkpoint = 0
    world.start_owner()
    finish(world)
    world.checkpoint = 0
    world.start_owner()
    finish(world)
    for _ in range(2):
        world.start_timer()
        finish(world)
    return world


def turn(world: World) -> None:
    """One thing happens."""
    choices, options = world.choices, world.options
    lot = choices.below(100)
    if lot < 60 and world.actors:
        world.step(choices.one(world.actors), faults=True)
    elif lot < 70:
        world.produce(1 + choices.below(4))
    elif lot < 78 and len(world.actors) < 4:
        world.start_owner()
    elif lot < 84 and len(world.actors) < 5:
        world.start_timer()
    elif lot < 87 and world.actors:
        actor = choices.one(world.actors)
        actor.kill()
        world.actors.remove(actor)
        world.log.append(f"{actor.name} is killed")
    elif lot < 91 and world.late:
        world.deliver_late()
    elif lot < 94 and options.remove:
        world.remove_file()
    elif lot < 96 and options.recreate and len(world.hubs) < 3:
        world.recreate_hub()
    elif lot < 97 and options.week:
        world.pass_a_week()
    elif lot < 99 and options.ledger_lost:
        world.touch_ledger()
    elif world.actors:
        world.step(choices.one(world.actors), faults=True)


def finish(world: World) -> None:
    """All actors run to their end, and late calls arrive, in any order."""
    choices = world.choices
    for _ in range(ENOUGH):
        if world.late and (not world.actors or choices.happens(100)):
            world.deliver_late()
        elif world.actors:
            world.step(choices.one(world.actors), faults=False)
        else:
            return
    world.stuck = "no end in sight: owners keep each other from finishing"
    world.stop_all()


def explain(seed: int, options: Options) -> str | None:
    """None if all laws hold under the schedule of this seed; else a short schedule that breaks one."""
    world = run(Choices(seed), options)
    if not next(broken(world), None):
        return None

    def fails(taken: Sequence[int]) -> bool:
        return next(broken(run(Choices(taken=taken), options)), None) is not None

    small = run(Choices(taken=shrink(world.choices.taken, fails)), options)
    return "\n".join([f"seed {seed}, {options}", *small.log, "BROKEN:", *broken(small)])
