"""The invariants that must hold in a world after any schedule."""

from collections import Counter
from collections.abc import Iterator

import orjson

from shared.input.envelope import Envelope
from shared.intervals import within
from shared.output.layout import is_delta_log
from tests.simulation.world import World, is_his


def expected(envelope: Envelope, generation: int) -> list[str]:
    """Returns what a clean run shows of an envelope: a name for each row, and one for its dead letter."""
    dead = f"dead g{generation}-s{envelope.sequence}"
    try:
        records = orjson.loads(envelope.body)["records"]
    except orjson.JSONDecodeError:
        return [dead]
    ours = [one for one in records if one["category"] == "WebSocketConnectionLogs"]
    rows = [one["correlationId"] for one in ours if "time" in one]
    return rows + [dead] * (len(rows) < len(ours))


def unlisted(world: World) -> Iterator[str]:
    """Returns events that are neither exported, nor listed as a gap, nor still to be delivered."""
    seen, ledger = world.visible() + world.removed, world.ledger()
    gaps = ledger.incarnation.gaps if ledger else ()
    generation = len(world.hubs) - 1
    for envelope in world.hubs[-1][: world.checkpoint]:
        names = [*expected(envelope, generation), f"quarantined g{generation}-s{envelope.sequence}"]
        if len(names) > 1 and not any(seen[name] for name in names) and not within(gaps, envelope.sequence):
            yield f"generation {generation}, sequence {envelope.sequence}, gaps {gaps}"


def violations(world: World) -> Iterator[str]:
    """Yields descriptions of the invariants that are violated."""
    if world.stuck:
        yield world.stuck
        return
    for name in sorted(set(world.hidden)):
        yield f"was visible, and for a moment not: {name}"
    if world.options.compact:
        if world.swap():
            yield "a swap was left under way"
        if world.alarms and not world.options.week and not world.options.hand:
            yield f"an alarm without a cause: {world.alarms[0]}"
    for message in world.refuted if not (world.options.week or world.options.hand) else ():
        yield f"refuted while all went on: {message}"
    yield from world.delta.violations() if world.delta else ()
    for missing in world.unlisted:
        yield f"neither exported nor listed as a gap: {missing}"
    seen = world.visible() + world.removed
    if world.options.erase:
        yield from _not_erased(world, seen)
    for name, times in seen.items():
        if times > 1:
            yield f"visible {times} times: {name}"
    for generation, hub in enumerate(world.hubs):
        for envelope in hub:
            here = {name: seen[name] for name in expected(envelope, generation)}
            quarantined = seen[f"quarantined g{generation}-s{envelope.sequence}"]
            there = sum(1 for times in here.values() if times)
            if quarantined and there:
                yield f"quarantined and exported: generation {generation}, sequence {envelope.sequence}"
            elif 0 < there < len(here):
                yield f"part of an envelope is missing: generation {generation}, {here}"
            elif here and not there and not quarantined and generation == len(world.hubs) - 1:
                yield f"lost: generation {generation}, {sorted(here)}"
    for name, blob in world.storage.output.items():
        if blob.data is not None and not is_delta_log(name):
            rows = sum(1 for _ in world.rows(name))
            if blob.metadata["commit_id"] not in name or int(blob.metadata["rows"]) != rows:
                yield f"content and metadata are of different commits: {name}"
    yield from _mixed_hubs(world)
    ledger = world.ledger()
    if ledger:
        counts = ledger.counts
        if counts.records != counts.rows + sum(counts.rejected.values()) + counts.skipped:
            yield f"records in are not rows + rejected + skipped: {counts}"
        # A ledger that was restored has forgotten counts.
        if not ledger.lost and not (world.restorations and world.options.restored == "state"):
            kinds = Counter(name.split()[0] if " " in name else "row" for name in seen.elements())
            if counts.rows != kinds["row"]:
                yield f"the ledger counts {counts.rows} rows, {kinds['row']} are visible"
            if counts.rejected.get("older_incarnation", 0) != kinds["quarantined"]:
                yield f"the ledger counts {counts.rejected}, {kinds['quarantined']} are quarantined"
        if any(one.incarnation == ledger.incarnation.number for one in ledger.lost):
            yield f"lost and not refilled by a redelivery: {ledger.lost}"


def _not_erased(world: World, seen: Counter[str]) -> Iterator[str]:
    """Yields errors in the rows to be erased, and counts these as visible for the other invariants."""
    for name in sorted(world.his()):
        yield f"was not erased: {name}"
    for name in world.returned:
        yield f"was erased, and came back: {name}"
    for name, reason in world.left.items():
        yield f"was left by the last eraser: {name} {reason}"
    for generation, hub in enumerate(world.hubs):
        for envelope in hub:
            seen.update(
                {name: 1 for name in expected(envelope, generation) if is_his(name) and not seen[name]}
            )


def _mixed_hubs(world: World) -> Iterator[str]:
    """Yields incarnations that have records of several hubs."""
    hubs: dict[int, set[str]] = {}
    ledger = world.ledger()
    for name, blob in world.storage.output.items():
        if "compacted" in blob.metadata or is_delta_log(name):
            continue  # holds files of any
        for row in world.rows(name) if blob.data is not None else ():
            if "quarantined" not in row:
                generation_, sequence = row.removeprefix("dead ").split("-")[:2]
                at = int(sequence[1:])
                of = int(blob.metadata["incarnation"])
                for number in ledger.numbered(of, [(at, at)]) if ledger else (of,):
                    hubs.setdefault(number, set()).add(generation_)
    for number, inside in hubs.items():
        # A hub that existed only between two runs of the timer looks like the previous one.
        if len(inside) > 1 and (not world.options.kept or f"g{len(world.hubs) - 1}" in inside):
            yield f"incarnation {number} has records of several hubs: {sorted(inside)}"
