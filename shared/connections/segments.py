"""Reads from a partition's ledger and indexes which segments are waiting to be merged."""

from pydantic import ValidationError

from shared.connections.observations import UNKNOWN
from shared.protocol.ledger import LISTED, Index, Ledger, Segment, Segments
from shared.protocol.storage import Storage


def waiting(
    storage: Storage, ledger: Ledger, watermark: int, enough: int = UNKNOWN, most: int = UNKNOWN
) -> tuple[list[Segment], list[Index]]:
    """Returns the segments above the watermark, oldest first, and the indexes that could not be read.

    Stops once the segments have `enough` observations in total, or once there are `most` segments, and reads
    only the indexes that this takes. The segments of an index that is missing or damaged were merged in the
    meantime, or are lost.
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
    unreadable: list[Index] = []
    for index, blob in zip(indexes, blobs, strict=True):
        try:
            found += Segments.model_validate_json(blob.data if blob else b"").segments
        except ValidationError:
            unreadable.append(index)
    if not indexes or indexes[-1] == ledger.indexes[-1]:
        found += ledger.segments
    chosen: list[Segment] = []
    for segment in found:
        if segment.ordinal > watermark and enough > 0 and len(chosen) < most:
            chosen.append(segment)
            enough -= segment.observations
    return chosen, unreadable
