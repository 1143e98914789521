"""Computes how far a run merges the commits of each partition. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from shared.connections.manifest import MARGIN, EventNameCounts, Manifest, PartitionProgress, Totals
from shared.protocol.hub import HubState
from shared.protocol.ledger import Index, Ledger, Segment


@dataclass(frozen=True, slots=True)
class Taken:
    """Segments of one partition that a run merges."""

    ledger: Ledger
    segments: tuple[Segment, ...]
    unreadable: tuple[Index, ...]
    """Missing or damaged indexes. `segments` has every segment of the readable indexes before these."""
    all: bool
    """Whether everything in the ledger is merged."""


def advanced(
    before: Manifest,
    taken: Sequence[Taken],
    names: Mapping[str, EventNameCounts],
    vocabulary: Collection[str],
    asked: int,
    state: HubState | None,
) -> Manifest:
    """Returns the manifest after merging these segments, except for what depends on the state table.

    `names`: when each event name last occurred in them. `asked`: when the hub reported its `state`, µs since
    1970 UTC.
    """
    partitions = dict(before.partitions)
    positions = {str(partition): position for partition, position in state.positions.items()} if state else {}
    for name, at in positions.items():
        if at.empty and not partitions.get(name, PartitionProgress()).ledger_id:
            partitions[name] = PartitionProgress(progress=asked - MARGIN)
    for one in taken:
        ledger, known = one.ledger, partitions.get(one.ledger.partition, PartitionProgress())
        reached = [index.last for index in one.unreadable]
        reached += [segment.ordinal for segment in one.segments] + [ledger.ordinal] * one.all
        ordinal = max(before.watermark(ledger), *reached, 0)
        progress = max([known.progress, *(segment.newest for segment in one.segments)])
        if one.all:
            progress = max(progress, ledger.incarnation.newest)
            position = positions.get(ledger.partition)
            if position and position.drained(ledger.incarnation):
                progress = max(progress, asked - MARGIN)
        if state and ledger.partition in positions and ledger.incarnation.created == state.created:
            known = known.model_copy(update={"hub_created": state.created, "hub_asked": asked})
        partitions[ledger.partition] = known.model_copy(
            update={
                "ledger_id": ledger.ledger_id,
                "ordinal": ordinal,
                "seen": ledger.ordinal,
                "progress": progress,
            }
        )
    observations = sum(segment.observations for one in taken for segment in one.segments)
    arriving = tuple(
        sorted(name for name in partitions if "~" not in name)
    )  # the clock does not wait for replays
    return before.model_copy(
        update={
            "partitions": partitions,
            "hub": tuple(sorted(positions)) or before.hub or arriving,
            "names": before.counting(names, vocabulary),
            "totals": before.totals.plus(Totals(observations=observations)),
        }
    )
