"""The state of a backfill in addition to its ledgers: its boundary and its finished blobs. Pure data."""

from pydantic import Field

from shared.protocol.documents import Document

FORMAT = 1
BOUNDARY = "boundary.json"
"""The name of its blob in the backfill's state folder."""


class Boundary(Document):
    """The boundary, decided once, so that no later run exports an hour that the hub also delivered."""

    format: int = FORMAT
    before: int
    """Only hours that ended by this time are exported (µs since 1970 UTC)."""


class DoneBlobs(Document):
    """The completely exported blobs of one service and month."""

    format: int = FORMAT
    sizes: dict[str, int] = Field(default_factory=dict)
    """Sizes in bytes by `ArchiveHour.key`, which reveal blobs that grew afterwards."""

    @staticmethod
    def name(partition: str) -> str:
        """Returns the name of its blob."""
        return f"done/{partition}.json"
