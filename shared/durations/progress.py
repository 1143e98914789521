"""Says how far a run has merged the commits of each partition. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from shared.durations.head import MARGIN, Absorbed, Head, Seen, Totals
from shared.hub import State
from shared.ledger import Index, Ledger, Segment


@dataclass(frozen=True, slots=True)
class Taken:
    """Segments of one partition that a run merges."""

    ledger: Ledger
    segments: tuple[Segment, ...]
    unreadable: tuple[Index, ...]
    """Indexes that are gone or damaged; all segments of the readable ones before them are in `segments`."""
    all: bool
    """Nothing of the ledger is left."""


def advanced(
    before: Head,
    taken: Sequence[Taken],
    names: Mapping[str, Seen],
    vocabulary: Collection[str],
    asked: int,
    state: State | None,
) -> Head:
    """The manifest with these segments merged: all of it that does not depend on the state table.

    `names`: when each event name last occurred in them. `asked`: when the hub said its `state`, µs since 1970
    UTC.
    """
    sources = dict(before.sources)
    positions = {str(source): position for source, position in state.positions.items()} if state else {}
    for name, at in positions.items():
        if at.empty and not sources.get(name, Absorbed()).ledger_id:
            sources[name] = Absorbed(progress=asked - MARGIN)
    for one in taken:
        ledger, known = one.ledger, sources.get(one.ledger.source, Absorbed())
        reached = [index.last for index in one.unreadable]
        reached += [segment.ordinal for segment in one.segments] + [ledger.ordinal] * one.all
        ordinal = max(before.watermark(ledger), *reached, 0)
        progress = max([known.progress, *(segment.newest for segment in one.segments)])
        if one.all:
            progress = max(progress, ledger.incarnation.newest)
            position = positions.get(ledger.source)
            if position and position.drained(ledger.incarnation):
                progress = max(progress, asked - MARGIN)
        if state and ledger.source in positions and ledger.incarnation.created == state.created:
            known = known.model_copy(update={"hub_created": state.created, "hub_asked": asked})
        sources[ledger.source] = known.model_copy(
            update={
                "ledger_id": ledger.ledger_id,
                "ordinal": ordinal,
                "seen": ledger.ordinal,
                "progress": progress,
            }
        )
    observations = sum(segment.observations for one in taken for segment in one.segments)
    arriving = tuple(sorted(name for name in sources if "~" not in name))  # a replay has no end to wait for
    return before.model_copy(
        update={
            "sources": sources,
            "hub": tuple(sorted(positions)) or before.hub or arriving,
            "names": before.counting(names, vocabulary),
            "totals": before.totals.plus(Totals(observations=observations)),
        }
    )
