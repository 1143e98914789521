"""Reads which segments of a source wait to be absorbed: from its ledger, and from its indexes."""

from shared.durations.connections import UNKNOWN
from shared.ledger import LISTED, Index, Ledger, Segment, Segments
from shared.storage import Storage


def waiting(
    storage: Storage, ledger: Ledger, watermark: int, enough: int = UNKNOWN, most: int = UNKNOWN
) -> list[Segment] | None:
    """The segments above the watermark in order: all, or the oldest ones that have enough observations.

    No more than `most` of them, and of the indexes only those that it takes to have so many.

    None: some of their list was absorbed and deleted while this was on its way.
    """
    indexes: list[Index] = []
    for index in ledger.indexes:
        if (
            index.last > watermark
            and sum(one.observations for one in indexes) < enough
            and len(indexes) * LISTED < most
        ):
            indexes.append(index)
    blobs = storage.read_all([one.name for one in indexes])
    found: list[Segment] = []
    for blob in blobs:
        if blob is None:
            return None
        found += Segments.model_validate_json(blob.data).segments
    if not indexes or indexes[-1] == ledger.indexes[-1]:
        found += ledger.segments
    chosen: list[Segment] = []
    for segment in found:
        if segment.ordinal > watermark and enough > 0 and len(chosen) < most:
            chosen.append(segment)
            enough -= segment.observations
    return chosen
