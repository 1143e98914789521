"""Generates synthetic connections and the events that each one logs, as columns."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from local.traffic.times import SECOND

type Ints = NDArray[np.int64]
type Flags = NDArray[np.bool_]

OPENED, RECEIVED, SENT, CLOSED, FAILED = range(5)
EVENT_NAMES = ("ConnectionOpened", "MessageReceived", "MessageSent", "ConnectionClosed", "ConnectionFailed")
RESOURCES = tuple(
    f"/SUBSCRIPTIONS/00000000-1111-4222-8333-444444444444/RESOURCEGROUPS/RG-SYNTHETIC/PROVIDERS/"
    f"MICROSOFT.APIMANAGEMENT/SERVICE/SYNTHETIC-{name}"
    for name in ("EUROPE", "ASIA")
)
MEDIAN_DURATION = 120 * SECOND
LEG_STEP = 0.02 * SECOND
"""Standard deviation of the difference between the clocks of a connection's two legs."""
FEWEST_FOR_LEGS = 4
"""Minimum number of events of a connection that opens and closes on each leg."""
BACKEND_SHARE = 0.5
ERROR_SHARE = 0.005

# The first kind takes the remaining share.
KINDS = {
    "complete": 0.6,
    "failed": 0.1,
    "never_closed": 0.08,
    "closing_only": 0.05,
    "single": 0.07,
    "one_time": 0.1,
}
# Ids are copied from clients, so they can contain anything.
IDS = {"{}": 0.99, "../../{}": 0.003, "é-日本-🧵-{}": 0.003, 'say "hi"\\{}': 0.004}
TWINS = 0.02
"""Share of connections whose id also occurs in the other instance."""


@dataclass(frozen=True, slots=True)
class Events:
    """The events of connections, in columns. Times in microseconds since 1970-01-01 UTC."""

    correlation_ids: list[str]
    id_of: Ints
    """For each connection, its index in `correlation_ids`; twins share one."""
    resource_of: Ints
    """For each connection, its index in `RESOURCES`."""
    connection: Ints
    """For each event, the index of its connection; the fields below also have one entry for each event."""
    name: Ints
    time: Ints
    backend_leg: Flags
    error: Flags


def spread(rng: np.random.Generator, count: int, shares: Mapping[str, float]) -> Ints:
    """Returns `count` shuffled indexes of `shares`: at least one for each above 0, the rest for the first."""
    codes = np.zeros(count, np.int64)
    places = rng.permutation(count)
    used = 0
    for code, share in enumerate(list(shares.values())[1:], start=1):
        wanted = int(np.ceil(share * count))
        codes[places[used : used + wanted]] = code
        used += wanted
    return codes


def make(rng: np.random.Generator, count: int, start: int, end: int) -> Events:
    """Generates the events of `count` connections between `start` and `end`, ordered by connection."""
    raw = rng.bytes(16 * count).hex()
    each = (raw[at : at + 32] for at in range(0, 32 * count, 32))
    ids = [f"{one[:8]}-{one[8:12]}-{one[12:16]}-{one[16:20]}-{one[20:]}" for one in each]
    patterns = list(IDS)
    for place in np.flatnonzero(odd := spread(rng, count, IDS)).tolist():
        ids[place] = patterns[odd[place]].format(ids[place])
    id_of = np.arange(count)
    resource_of = rng.integers(0, len(RESOURCES), count)
    twins = rng.permutation(count // 2)[: int(np.ceil(TWINS * count / 2))] * 2
    id_of[twins + 1] = id_of[twins]
    resource_of[twins], resource_of[twins + 1] = 0, 1

    kind = spread(rng, count, KINDS)
    named = {name: kind == code for code, name in enumerate(KINDS)}
    opens = ~(named["closing_only"] | named["single"])
    closes = ~(named["never_closed"] | named["single"])
    events = np.where(named["single"], 1, 1 + opens + np.minimum(rng.geometric(0.25, count) - 1, 40))
    first = np.concatenate(([0], np.cumsum(events)[:-1]))
    connection = np.repeat(np.arange(count), events)
    ordinal = np.arange(len(connection)) - first[connection]
    left = events[connection] - 1 - ordinal

    name = rng.integers(RECEIVED, SENT + 1, len(connection))
    backend = rng.random(len(connection)) < BACKEND_SHARE
    wide = events[connection] >= FEWEST_FOR_LEGS
    opening = opens[connection] & ((ordinal == 0) | (wide & (ordinal == 1)))
    closing = closes[connection] & ((left == 0) | (wide & (left == 1)))
    name[opening] = OPENED
    backend[opening] = ordinal[opening] == 1
    name[closing] = CLOSED
    backend[closing] = left[closing] == 1
    name[closing & named["failed"][connection] & (left == 0)] = FAILED
    alone = named["single"][connection]
    name[alone] = rng.integers(0, len(EVENT_NAMES), int(alone.sum()))

    began = rng.integers(start, end, count)
    lasts = np.minimum(rng.lognormal(np.log(MEDIAN_DURATION), 1.5, count), end - began)
    inner = (ordinal + rng.random(len(connection))) / np.maximum(events[connection], 1)
    inner = np.where(ordinal == 0, 0, np.where(closing & (left == 0), 1, inner))
    step = rng.normal(0, LEG_STEP, count)[connection] * backend
    time = began[connection] + (inner * lasts[connection] + step).astype(np.int64)
    # Whole seconds give the same time in every format.
    time = np.where(named["one_time"][connection], began[connection] // SECOND * SECOND, time)
    error = (name == FAILED) | (rng.random(len(connection)) < ERROR_SHARE)
    return Events(ids, id_of, resource_of, connection, name, np.clip(time, start, end), backend, error)
