"""Generates traffic from a seed: the records, their forms, their envelopes and their partitions."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from local.traffic import bodies, connections, records, truth
from local.traffic.connections import Events, Flags, Ints, spread
from local.traffic.envelopes import OUTCOMES, REASON_OF, ROW, SKIPPED, UNREADABLE, Elements, Envelopes, Sends
from local.traffic.mix import Mix
from local.traffic.times import SECOND, WAYS
from local.traffic.truth import Truth

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OLDEST, NEWEST = timedelta(days=6, hours=12), timedelta(minutes=30)
LATE = 0.05
"""Share of records whose delivery takes longer than usual."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """The traffic to send, and the truth about it."""

    sends: Sends
    truth: Truth


def _microseconds(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


def generate(
    seed: int,
    count: int,
    start: datetime,
    end: datetime,
    *,
    now: datetime | None = None,
    partitions: Sequence[str] = ("0", "1", "2", "3"),
    bad: float = 0.01,
    foreign: float = 0.2,
    mix: Mix | None = None,
    exported: Collection[str] = (records.CATEGORY,),
) -> Traffic:
    """Generates traffic of `count` connections between `start` and `end`; equal arguments give equal traffic.

    Args:
        seed: the seed of all random choices.
        count: the number of connections; each has about five records.
        start: the start of the first connection, at most 6.5 days before `now`, which leaves half a day for
            sending.
        end: the time of the last record, at most 30 minutes after `now`.
        now: the time when sending begins; by default `end`. Sending must take less than an hour, because
            implausible records are dated two hours after `now`.
        partitions: partition ids, over which the envelopes are spread at random, as without a partition key.
        bad: bad records for each good one, and unreadable envelopes for each readable one.
        foreign: records of other categories for each good one; half of them are in separate envelopes.
        mix: the shares of the forms.
        exported: the categories of which the truth expects rows; others are skipped.

    Raises:
        ValueError: the times are too far from `now`, or in the wrong order.
    """
    now = now or end
    mix = mix or Mix()
    if not now - OLDEST <= start < end <= now + NEWEST:
        raise ValueError(
            f"Expected now - {OLDEST} <= start < end <= now + {NEWEST}, or records would be implausible; "
            f"got start {start}, end {end}, now {now}."
        )
    rng = np.random.default_rng(seed)
    events = connections.make(rng, count, _microseconds(start), _microseconds(end))
    time_form = spread(rng, len(events.time), mix.times)
    unit = np.array([WAYS[name].unit for name in mix.times])[time_form]
    np.subtract(events.time, events.time % unit, out=events.time)

    elements, sizes, own = _elements(rng, events, mix, bad, foreign)
    envelopes = _envelopes(rng, elements, sizes, own, mix=mix, bad=bad, partitions=len(partitions))
    sends = Sends(
        tuple(partitions),
        events,
        elements,
        envelopes,
        time_form,
        _microseconds(now),
        mix,
        frozenset(exported),
    )
    return Traffic(sends, _truth(sends))


def _elements(
    rng: np.random.Generator, events: Events, mix: Mix, bad: float, foreign: float
) -> tuple[Elements, Ints, int]:
    """Returns the elements in order, the sizes of their envelopes, and how many at the end are foreign."""
    total = len(events.time)
    damaged = max(int(bad * total), len(records.BAD)) if bad else 0
    mixed, apart = int(foreign * total / 2), int(foreign * total) - int(foreign * total / 2)
    variants = np.arange(damaged) % len(records.BAD)
    kinds = spread(rng, mixed + apart, mix.foreign)
    foreign_events = _foreign_events(rng, events, kinds, mix)
    main = Elements(
        np.concatenate((np.arange(total), rng.integers(0, total, damaged), foreign_events[:mixed])),
        np.concatenate((np.full(total, ROW), REASON_OF[variants], np.full(mixed, SKIPPED))),
        np.concatenate((spread(rng, total, mix.forms), variants, kinds[:mixed])),
    )
    main = _delivered(rng, events, main)
    extra = _delivered(rng, events, Elements(foreign_events[mixed:], np.full(apart, SKIPPED), kinds[mixed:]))
    sizes, own = _sizes(rng, len(main.event), mix), _sizes(rng, apart, mix)
    elements = Elements(*(np.concatenate(pair) for pair in zip(main, extra, strict=True)))
    return elements, np.concatenate((sizes, own)), len(own)


def _delivered(rng: np.random.Generator, events: Events, elements: Elements) -> Elements:
    """Sorts elements by arrival. Delivery usually takes 3 to 10 minutes, rarely up to 90."""
    number = len(elements.event)
    late = rng.random(number) < LATE
    delay = rng.uniform(180, 600, number) + late * np.minimum(rng.exponential(1800, number), 4800)
    arrival = events.time[elements.event] + (delay * SECOND).astype(np.int64)
    return elements.take(np.argsort(arrival, kind="stable"))


def _foreign_events(rng: np.random.Generator, events: Events, kinds: Ints, mix: Mix) -> Ints:
    """Chooses the event whose time and ids a foreign record has.

    Requests that began connections have the time and ids of the first events of different connections. If
    there are more requests than connections, these events are used again.
    """
    found: Ints = rng.integers(0, len(events.time), len(kinds))
    firsts = np.flatnonzero(np.diff(events.connection, prepend=-1))
    requests = np.flatnonzero(np.array([records.FOREIGN[name].of_connection for name in mix.foreign])[kinds])
    found[requests] = np.resize(rng.permutation(firsts), len(requests))
    return found


def _sizes(rng: np.random.Generator, total: int, mix: Mix) -> Ints:
    """Returns sizes of envelopes, 1 to 50, whose sum is `total`."""
    kind = rng.random(total)
    small = rng.integers(2, 11, total)
    sizes = np.where(kind < mix.single, 1, np.where(kind < 1 - mix.large, small, rng.integers(11, 51, total)))
    ends = np.cumsum(sizes)
    ends = np.append(ends[ends < total], [total] if total else [])
    return np.diff(ends, prepend=0).astype(np.int64)


def _envelopes(
    rng: np.random.Generator,
    elements: Elements,
    sizes: Ints,
    own: int,
    *,
    mix: Mix,
    bad: float,
    partitions: int,
) -> Envelopes:
    filled = len(sizes)
    first = np.cumsum(sizes) - sizes
    broken = max(int(bad * filled), len(bodies.UNREADABLE)) if bad else 0
    empty = int(np.ceil(mix.empty * filled))
    lent = rng.integers(0, filled, broken)

    names = list(mix.containers)
    container = spread(rng, filled, {**mix.containers, "bare_record": 0})
    alone = rng.permutation(np.flatnonzero(sizes == 1))
    if share := mix.containers.get("bare_record", 0):
        container[alone[: int(np.ceil(share * filled))]] = names.index("bare_record")
    # Outside of `records`, the meaning of a value that is not an object is undefined.
    no_objects = np.flatnonzero(elements.outcome == OUTCOMES.index(records.NOT_AN_OBJECT))
    container[np.searchsorted(first, no_objects, side="right") - 1] = names.index("documented")

    nothing = np.zeros(broken + empty, np.int64)
    columns = Envelopes(
        rng.integers(0, partitions, filled + broken + empty),
        np.concatenate((first, first[lent], nothing[:empty])),
        np.concatenate((sizes, sizes[lent], nothing[:empty])),
        np.concatenate((container, nothing)),
        np.concatenate((spread(rng, filled, mix.encodings), nothing)),
        np.concatenate((np.full(filled, -1), np.arange(broken) % len(bodies.UNREADABLE), np.full(empty, -1))),
    )
    main = filled - own
    when = np.concatenate((np.arange(main) / main, np.arange(own) / max(1, own), rng.random(broken + empty)))
    order = np.argsort(when, kind="stable")
    return Envelopes(*(column[order] for column in columns))


def _truth(sends: Sends) -> Truth:
    envelopes, events = sends.envelopes, sends.events
    by_partition = np.argsort(envelopes.partition, kind="stable")
    counts = np.bincount(envelopes.partition, minlength=len(sends.partitions))
    position = np.empty(len(by_partition), np.int64)
    position[by_partition] = np.arange(len(by_partition)) - np.repeat(np.cumsum(counts) - counts, counts)

    broken = envelopes.broken >= 0
    size = np.where(broken, 1, envelopes.size)
    envelope = np.repeat(np.arange(len(size)), size)
    index = np.arange(len(envelope)) - np.repeat(np.cumsum(size) - size, size)
    whole = broken[envelope]
    found = sends.elements.take(envelopes.first[envelope] + index)
    # By kind of foreign record: its outcome, and whether its id belongs to no connection.
    kinds = [records.FOREIGN[name] for name in sends.mix.foreign]
    rows = [
        OUTCOMES.index(truth.OTHER_ROWS[one.category])
        if one.category in sends.exported & truth.OTHER_ROWS.keys()
        else SKIPPED
        for one in kinds
    ]
    foreign = ~whole & (found.outcome == SKIPPED)
    kind = np.where(foreign, found.variant, 0)
    outcome = np.where(whole, UNREADABLE, np.where(foreign, np.array(rows)[kind], found.outcome))
    missing = outcome != ROW
    no_row = ~np.isin(outcome, [OUTCOMES.index(name) for name in truth.ROWS])
    other = foreign & ~np.array([one.of_connection for one in kinds])[kind]
    connection = events.connection[found.event]
    ids = [*events.correlation_ids, *map(records.unrelated, events.correlation_ids)]
    id_ = events.id_of[connection] + other * len(events.correlation_ids)
    return Truth(
        pa.table(
            {
                "partition": _named(envelopes.partition[envelope], list(sends.partitions)),
                "position": position[envelope],
                "record_index": np.where(whole, truth.WHOLE_ENVELOPE, index).astype(np.int32),
                "outcome": _named(outcome, OUTCOMES),
                "connection": pa.array(connection, mask=missing),
                "resource_id": _named(
                    events.resource_of[connection], [one.lower() for one in connections.RESOURCES], no_row
                ),
                "correlation_id": _named(id_, ids, no_row),
                "event_name": _named(events.name[found.event], list(connections.EVENT_NAMES), missing),
                "time": pa.array(events.time[found.event], mask=no_row),
                "error": pa.array(events.error[found.event], mask=missing),
            }
        )
    )


def _named(codes: Ints, names: list[str], missing: Flags | None = None) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32(), mask=missing), pa.array(names))
