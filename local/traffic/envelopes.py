"""Holds the generated envelopes in sending order, and builds their bodies lazily."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple, overload

import numpy as np

from local.traffic import bodies, connections, records, times, truth
from local.traffic.connections import Events, Ints
from local.traffic.mix import Mix

TOO_OLD, TOO_NEW = timedelta(days=8), timedelta(hours=2)
BLOCK = 2000
"""Envelopes that are built at a time: enough for vectorized code to pay off, and few enough for memory."""

REASONS = list(dict.fromkeys(reason for reason, _ in records.BAD))
OUTCOMES = [truth.ROW, truth.SKIPPED, truth.UNREADABLE, *REASONS, *truth.OTHER_ROWS.values()]
ROW, SKIPPED, UNREADABLE = range(3)
REASON_OF = np.array([OUTCOMES.index(reason) for reason, _ in records.BAD])


class Send(NamedTuple):
    """One envelope to be sent."""

    partition: str
    """The partition id."""
    body: bytes


class Elements(NamedTuple):
    """The elements of the envelopes, in order: the event of each element, its outcome, and its variant."""

    event: Ints
    outcome: Ints
    """The index in `OUTCOMES`."""
    variant: Ints
    """The index in `Mix.forms`, `Mix.foreign` or `records.BAD`, depending on the outcome."""

    def take(self, places: Ints) -> "Elements":
        """Returns the elements at these indexes."""
        return Elements(*(column[places] for column in self))


class Envelopes(NamedTuple):
    """Envelopes in sending order, one entry each."""

    partition: Ints
    first: Ints
    """The index of its first element; `size` elements belong to it."""
    size: Ints
    container: Ints
    encoding: Ints
    broken: Ints
    """The index in `bodies.UNREADABLE`, or -1. A broken envelope borrows elements, which do not count."""


@dataclass(frozen=True, slots=True)
class Sends(Sequence[Send]):
    """All sends in order; built on demand, because 2,000,000 records would fill the memory."""

    partitions: Sequence[str]
    events: Events
    elements: Elements
    envelopes: Envelopes
    time_form: Ints
    now: int
    mix: Mix
    exported: frozenset[str]
    """The categories of which rows are expected."""

    def __len__(self) -> int:
        return len(self.envelopes.partition)

    @overload
    def __getitem__(self, place: int) -> Send: ...
    @overload
    def __getitem__(self, place: slice) -> list[Send]: ...
    def __getitem__(self, place: int | slice) -> Send | list[Send]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        return next(self._block(range(len(self))[place], 1))

    def __iter__(self) -> Iterator[Send]:
        for first in range(0, len(self), BLOCK):
            yield from self._block(first, BLOCK)

    def _block(self, first: int, count: int) -> Iterator[Send]:
        containers = [bodies.CONTAINERS[name] for name in self.mix.containers]
        encodings = [bodies.ENCODINGS[name] for name in self.mix.encodings]
        part = Envelopes(*(column[first : first + count] for column in self.envelopes))
        within = np.repeat(part.first - np.cumsum(part.size) + part.size, part.size)
        found = self._records(self.elements.take(within + np.arange(len(within))))
        at = 0
        for partition, _, size, container, encoding, broken in zip(
            *(column.tolist() for column in part), strict=True
        ):
            content = found[at : at + size]
            at += size
            if broken >= 0:
                body = bodies.UNREADABLE[broken](bodies.documented(content))
            else:
                body = encodings[encoding](containers[container](content)) if size else bodies.EMPTY
            yield Send(self.partitions[partition], body)

    def _records(self, elements: Elements) -> list[records.Json]:
        events = self.events
        place = elements.event
        connection = events.connection[place]
        outcomes, variants = elements.outcome.tolist(), elements.variant.tolist()
        ids = events.correlation_ids
        facts = map(
            records.Facts,
            self._times(elements),
            [connections.RESOURCES[code] for code in events.resource_of[connection].tolist()],
            [ids[code] for code in events.id_of[connection].tolist()],
            [connections.EVENT_NAMES[code] for code in events.name[place].tolist()],
            events.backend_leg[place].tolist(),
            events.error[place].tolist(),
        )
        forms = [records.FORMS[name] for name in self.mix.forms]
        foreign = [records.FOREIGN[name].make for name in self.mix.foreign]
        return [
            forms[variant](fact)
            if outcome == ROW
            else foreign[variant](fact)
            if outcome == SKIPPED
            else records.BAD[variant][1](fact)
            for outcome, variant, fact in zip(outcomes, variants, facts, strict=True)
        ]

    def _times(self, elements: Elements) -> list[str]:
        forms = self.time_form[elements.event]
        time = self.events.time[elements.event].copy()
        bad = elements.outcome > UNREADABLE
        for variant, distance in ((records.TOO_OLD, -TOO_OLD), (records.TOO_NEW, TOO_NEW)):
            time[bad & (elements.variant == variant)] = self.now + distance // timedelta(microseconds=1)
        ways = [times.WAYS[name] for name in self.mix.times]
        time += np.array([way.offset for way in ways])[forms]
        texts: list[str] = np.datetime_as_string(time.astype("datetime64[us]")).tolist()
        return [ways[form].write(text) for text, form in zip(texts, forms.tolist(), strict=True)]
