"""Runs one schedule of a world: first with all faults, then to the end without any."""

import logging
from collections.abc import Sequence

from shared.timeunits import DAY, HOUR
from tests.simulation.invariants import unlisted, violations
from tests.simulation.schedule import Choices, shrink
from tests.simulation.world import Options, World

ENOUGH = 20_000
PAGE = 8
"""Blobs in a page of a listing: so few that other actors run while somebody lists a container."""


def run(choices: Choices, options: Options) -> World:
    """Returns a world after its schedule: faults end, all actors finish, everything is delivered again."""
    world = World(choices, options)
    heard = Heard(world.alarms)
    logging.getLogger("shared.protocol.publishing").addHandler(heard)
    try:
        play(world)
    finally:
        logging.getLogger("shared.protocol.publishing").removeHandler(heard)
    return world


class Heard(logging.Handler):
    """Hears when a publisher finds that a file is gone."""

    def __init__(self, alarms: list[str]) -> None:
        super().__init__()
        self._alarms = alarms

    def emit(self, record: logging.LogRecord) -> None:
        if "neither visible nor staged" in record.getMessage():
            self._alarms.append(record.getMessage())


def play(world: World) -> None:
    choices, options = world.choices, world.options
    world.produce(2 + choices.below(5))
    for _ in range(3 if options.compact else 0):
        world.produce(2 + choices.below(5))
        world.come_to_rest()
        world.start_compactor()
        if options.erase:
            world.run_eraser()
        for _ in range(2 if options.rivals else 0):
            world.run_compactor(enabled=True)
        for _ in range((100 if options.rivals else 20) + choices.below(50)):
            turn(world)
    for _ in range(0 if options.compact else 50 + choices.below(200)):
        turn(world)
    world.log.append("--- from here on nothing goes wrong")
    if options.rewind or choices.happens(300):
        world.stop_all()
    if options.rewind:
        world.checkpoint = 0
    world.start_owner()
    finish(world)
    if options.kept or options.restored:
        reach(world)
        for _ in range(1 + choices.below(2)):
            world.start_redelivery()
        finish(world)
        world.start_redelivery()  # two compactors may have interrupted each other
        finish(world)
        world.unlisted += [f"redelivery left {gaps}" for gaps in world.left_gaps()]
    world.checkpoint = 0
    world.start_owner()
    finish(world)
    for _ in range(2):
        world.start_timer()
        finish(world)
    if options.compact:
        world.start_compactor()
        finish(world)
    # A day later, all folders are compared with the log, and files kept for older snapshots are deleted.
    for _ in range((5 if options.retention else 3) if options.delta else 0):
        world.now += DAY
        world.run_compactor(enabled=not options.keep)
        finish(world)
    if options.erase:
        world.returned = sorted(world.erased & world.his())
        world.now += 4 * HOUR
        world.run_eraser()
        finish(world)
    if options.retention:
        world.expire_files()


def reach(world: World) -> None:
    """Lets the timer reach the hub; each event must be exported, listed as a gap, or still to come."""
    for _ in range(2):
        world.start_timer()
        finish(world)
    world.start_owner()
    finish(world)
    if not world.options.restored:
        world.unlisted += unlisted(world)


def turn(world: World) -> None:
    """Takes one step: usually an actor makes its next storage call."""
    choices, options = world.choices, world.options
    lot = choices.below(1000)
    if lot >= 850:
        match (lot - 850) // 10:
            case 0 | 1 | 2 | 3 | 4:
                world.produce(1 + choices.below(4))
            case 5 | 6 if len(world.actors) < 4:
                world.start_owner()
            case 7 | 8 if len(world.actors) < 5:
                world.start_timer()
            case 9 if world.actors:
                world.kill(choices.one(world.actors))
            case 10 | 11 if options.compact and options.week and world.swap() and choices.happens(500):
                world.pass_a_week()
            case 10 | 11 if world.late:
                world.deliver_late()
            case 10 | 11 if options.hand and choices.happens(500):
                world.delete_output()
            case 12 | 13 if options.compact and len(world.actors) < 6:
                for _ in range(choices.one((1, 1, 2))):
                    world.start_compactor()
            case 14 if options.compact and choices.happens(400):
                world.start_auditor()
            case 14 if options.erase and len(world.actors) < 6:
                world.start_eraser()
            case 12 | 13 if options.restored:
                world.save_or_restore()
            case 12 | 13 if options.lost_ownership:
                world.lose_ownership()
            case 12 if options.remove:
                world.remove_file()
            case 13 if options.recreate and len(world.hubs) < 3:
                world.recreate_hub()
            case 14 if options.week and choices.happens(300):
                world.pass_a_week()
            case 11 if options.kept or options.restored:
                world.start_redelivery()
            case 14 if options.ledger_lost:
                world.touch_ledger()
    elif world.actors:
        world.step(choices.one(world.actors), faults=True)
    else:
        world.start_owner()


def finish(world: World) -> None:
    """Runs all actors to their end, and delivers late calls, in any order."""
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
    """Returns a short schedule that violates an invariant for this seed, or None if all invariants hold."""
    world = run(Choices(seed), options)
    if not next(violations(world), None):
        return None

    def fails(taken: Sequence[int]) -> bool:
        return next(violations(run(Choices(taken=taken), options)), None) is not None

    small = run(Choices(taken=shrink(world.choices.taken, fails)), options)
    return "\n".join([f"seed {seed}, {options}", *small.log, "VIOLATED:", *violations(small)])
