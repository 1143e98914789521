"""The state of a backfill beside its ledgers: where it stops, and which blobs are done. Pure data."""

from pydantic import Field

from shared.protocol.documents import Document

FORMAT = 1
BOUNDARY = "boundary.json"
"""In the folder of the backfill's state."""


class Boundary(Document):
    """Decided once, so that no later run exports an hour that the hub delivered too."""

    format: int = FORMAT
    before: int
    """Only hours that ended at this time or before are taken, µs since 1970 UTC."""


class DoneBlobs(Document):
    """The blobs of one service and month that were exported to their end."""

    format: int = FORMAT
    sizes: dict[str, int] = Field(default_factory=dict)
    """In bytes, by `ArchiveHour.key`: a blob that grew afterwards shows."""

    @staticmethod
    def name(partition: str) -> str:
        """The name of its blob."""
        return f"done/{partition}.json"
