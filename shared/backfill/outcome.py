"""The outcome of a backfill, which `backfill --json` prints."""

from collections import Counter

from pydantic import ConfigDict, Field

from shared.json_document import Document


class BackfillDocument(Document):
    """The document of `backfill --json`; times in µs since 1970 UTC."""

    model_config = ConfigDict(frozen=False)

    dry_run: bool
    boundary: int
    """Only hours that ended by this time are exported."""
    blobs: int = 0
    """Blobs that were exported, or would be."""
    bytes: int = 0
    """Total size of these blobs."""
    first: int | None = None
    """When the first of their hours began."""
    last: int | None = None
    """When the last of their hours ended."""
    before: int = 0
    """Blobs that an earlier run exported."""
    overlapping: int = 0
    """Blobs of the hour in which the live output begins, or later."""
    at_boundary: list[str] = Field(default_factory=list)
    """Blobs of the hour in which the live output begins."""
    open: int = 0
    """Blobs of hours that may still grow."""
    not_chosen: int = 0
    """Blobs outside --since and --until."""
    others: int = 0
    """Blobs that are not hours of an archive."""
    grown: list[str] = Field(default_factory=list)
    """Blobs whose size has changed since they were exported."""
    records: int = 0
    rows: int = 0
    skipped: int = 0
    """Records of other categories."""
    rejected: Counter[str] = Field(default_factory=Counter)
    """Rejected records by reason."""
    connections: int = 0
    """Connections that were finished."""
    alarms: list[str] = Field(default_factory=list)
