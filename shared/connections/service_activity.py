"""Tracks when each API Management service last sent a record, and its records of the last day. Pure."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from pydantic import Field

from shared.arrays import Array, whole
from shared.protocol.documents import Data
from shared.timeunits import DAY, HOUR, SECOND

SERVICES = 64
"""Maximum number of services that are kept: those that sent records most recently."""
FORGOTTEN = 7 * DAY
"""A service is forgotten when the others are this far ahead of its last record (µs)."""


class ServiceActivity(Data):
    """What is known about one service."""

    newest: int = -1
    """When its last record reached the hub (µs since 1970 UTC)."""
    hours: dict[int, int] = Field(default_factory=dict)
    """Records that reached the hub in each hour (since 1970) of the last day."""

    def records(self, now: int) -> int:
        """Records of the last 24 full hours and the current one; `now` in µs since 1970 UTC."""
        return sum(number for hour, number in self.hours.items() if hour >= now // HOUR - 24)

    def silence(self, clock: int) -> float:
        """Seconds from its last record to `clock` (µs since 1970 UTC), up to which all records are known."""
        return max(0, clock - self.newest) / SECOND


def activity(observations: pa.Table) -> dict[str, ServiceActivity]:
    """Returns the activity of each `_ResourceId` in a table of observations; "" stands for a missing one.

    All records of an observation count for the hour of its last arrival: observations of one run of the timer
    span a minute, unless it catches up.
    """
    if not observations.num_rows:
        return {}
    resources = whole(observations["_ResourceId"]).fill_null("").dictionary_encode()
    code = np.asarray(resources.indices)
    arrived, records = np.asarray(observations["last_seen"]), np.asarray(observations["count"])
    return {
        name: _of(arrived[code == number], records[code == number])
        for number, name in enumerate(resources.dictionary.to_pylist())
    }


def merged(
    before: Mapping[str, ServiceActivity], new: Mapping[str, ServiceActivity]
) -> dict[str, ServiceActivity]:
    """Returns known and new activity combined, without hours before the last day and forgotten services."""
    found = dict(before)
    for name, one in new.items():
        known = found.get(name, ServiceActivity())
        hours = dict(known.hours)
        for hour, number in one.hours.items():
            hours[hour] = hours.get(hour, 0) + number
        found[name] = known.model_copy(
            update={"newest": max(known.newest, one.newest), "hours": dict(sorted(hours.items()))}
        )
    latest = max((one.newest for one in found.values()), default=-1)
    oldest = latest // HOUR - 24
    kept = sorted(found.items(), key=lambda item: (-item[1].newest, item[0]))[:SERVICES]
    return {
        name: one.model_copy(
            update={"hours": {hour: number for hour, number in one.hours.items() if hour >= oldest}}
        )
        for name, one in sorted(kept)
        if one.newest > latest - FORGOTTEN
    }


def _of(arrived: Array, records: Array) -> ServiceActivity:
    hours, at = np.unique(arrived // HOUR, return_inverse=True)
    sums = np.bincount(at, records).astype(int).tolist()
    return ServiceActivity(newest=int(arrived.max()), hours=dict(zip(hours.tolist(), sums, strict=True)))
