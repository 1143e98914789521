"""Generates connections for simulations: their records, their arrival, and the truth about them."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.timeunits import HOUR, MINUTE
from tests.records import EPOCH, envelope, record

AHEAD = 3 * HOUR
"""How far ahead of its arrival a record is if exporters reject it and a replay accepts it."""
USED_AGAIN = 14 * HOUR
"""The time after which some ids are reused."""
ANEW = 2 * MINUTE
"""The time that re-creating a hub takes."""
PARTITIONS = tuple(HubPartition("sim", "hub", str(n)) for n in range(4))
RESOURCES = tuple(
    f"/subscriptions/s/resourcegroups/g/providers/microsoft.apimanagement/service/{n}" for n in "ab"
)

HIM, HER = "10.0.0.1", "10.0.0.11"
"""Two clients, each with connections of its own."""

type Key = tuple[str, str]
"""The resource id and the correlation id of a connection."""


def is_his(key: Key) -> bool:
    """Whether this connection is the first client's."""
    return int(key[1].removeprefix("c")) % 8 == 0 and key[0] == RESOURCES[0]


@dataclass(frozen=True, slots=True)
class Truth:
    """The truth about a connection; times in µs since 1970 UTC."""

    start: int
    end: int
    records: int
    closed: bool
    arrivals: list[int]
    """Sorted."""
    replayed: bool
    """Whether some of its records are rejected at first, and exported by a replay."""


@dataclass(slots=True)
class Traffic:
    """The envelopes that Azure Monitor delivers."""

    envelopes: dict[HubPartition, list[Envelope]]
    """In order of arrival. A re-created hub continues in the same list, with sequence numbers from 0."""
    truth: dict[Key, Truth]
    records: int


def make(
    rng: np.random.Generator, connections: int, *, recreated: bool, tail: float = 0.03, beyond: float = 0.002
) -> Traffic:
    """Generates ten hours of connections: most arrive within minutes, some after hours, a few after a day.

    Some have no opening or no closing event, or one time for all records, or clocks that differ between the
    legs; some ids occur in both resources, and some again much later. Some arrive all at once, in one
    envelope if it is large enough; of these, some have records whose time is far ahead, so that exporters
    reject them until a replay.
    """
    number = rng.integers(1, 5, connections)
    start = EPOCH + rng.integers(0, 10 * HOUR, connections)
    length = (rng.choice([0.01, 0.5, 5, 60, 300], connections) * MINUTE).astype(np.int64)
    opened, closed = rng.random(connections) > 0.05, rng.random(connections) > 0.05
    one_time = rng.random(connections) < 0.1
    twin = (np.arange(connections) % 20 == 1).astype(np.int64)
    of = np.concatenate(
        [np.repeat(np.arange(connections), number), np.flatnonzero(opened), np.flatnonzero(closed)]
    )
    kind = np.repeat([0, 1, 2], [number.sum(), opened.sum(), closed.sum()])
    into = np.where(
        kind == 1, 0, np.where(kind == 2, length[of], (rng.random(len(of)) * length[of]).astype(np.int64))
    )
    again = (rng.random(connections) < 0.05)[of] & (rng.random(len(of)) < 0.5)
    into = into + again * USED_AGAIN
    step = rng.choice([0, 0, 0, -30_000, 30_000], len(of))
    time = start[of] + np.where(one_time[of], 0, into + step)
    delay = rng.uniform(3, 10, len(of))
    delay = np.where(rng.random(len(of)) < tail, rng.uniform(10, 240, len(of)), delay)
    delay = np.where(rng.random(len(of)) < beyond, rng.uniform(1500, 2400, len(of)), delay)
    arrival = (start[of] + into + delay * MINUTE).astype(np.int64)
    at_once = rng.random(connections) < 0.02
    arrival = np.where(at_once[of], _latest(arrival, of), arrival)
    ahead = at_once[of] & (rng.random(len(of)) < 0.4)
    time = np.where(ahead, arrival + AHEAD, time)
    replayed = np.bincount(of[ahead], minlength=connections) > 0

    names = np.array(["MessageReceived", "ConnectionOpened", "ConnectionClosed"])[kind].tolist()
    ids = [f"c{n - t}" for n, t in enumerate(twin.tolist())]
    order = np.lexsort((of, arrival))
    came = np.zeros(len(of), np.int64)
    partition = rng.integers(0, len(PARTITIONS), len(order))
    partition = np.where(at_once[of[order]], of[order] % len(PARTITIONS), partition)
    envelopes: dict[HubPartition, list[Envelope]] = {}
    for number_, place in enumerate(PARTITIONS):
        mine = order[partition == number_]
        cuts = np.cumsum(rng.choice([1, 3, 10, 40], len(mine)))
        pieces = [piece for piece in np.split(mine, cuts[cuts < len(mine)]) if len(piece)]
        again = int(rng.integers(1, len(pieces))) if recreated and number_ == 0 else len(pieces)
        envelopes[place] = []
        for at, piece in enumerate(pieces):
            enqueued = int(arrival[piece[-1]]) + (0 if at < again else ANEW)
            came[piece] = enqueued
            found = [
                _record(int(time[row]), (RESOURCES[twin[of[row]]], ids[of[row]]), names[row])
                for row in piece.tolist()
            ]
            sequence = at if at < again else at - again
            envelopes[place].append(envelope(sequence, enqueued, *found))
    by_connection = np.lexsort((came, of))
    ends = np.cumsum(np.bincount(of, minlength=connections))
    arrivals = [one.tolist() for one in np.split(came[by_connection], ends[:-1])]
    truth: dict[Key, Truth] = {}
    first = np.full(connections, np.iinfo(np.int64).max)
    last = np.full(connections, -1)
    np.minimum.at(first, of, time)
    np.maximum.at(last, of, time)
    count = np.bincount(of, minlength=connections)
    for n in np.flatnonzero(count).tolist():
        truth[RESOURCES[twin[n]], ids[n]] = Truth(
            int(first[n]), int(last[n]), int(count[n]), bool(closed[n]), arrivals[n], bool(replayed[n])
        )
    return Traffic(envelopes, truth, len(of))


def _record(at: int, key: Key, event: str) -> dict[str, Any]:
    properties = {"eventName": event, "source": HIM if is_his(key) else HER}
    return record(at, key[1], resourceId=key[0], properties=properties)


def _latest(arrival: np.ndarray[Any, Any], of: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Returns, for each record, the latest arrival of its connection's records."""
    latest = np.zeros(of.max() + 1, np.int64)
    np.maximum.at(latest, of, arrival)
    found: np.ndarray[Any, Any] = latest[of]
    return found
