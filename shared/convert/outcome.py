"""The outcome of a conversion, which `convert --json` prints."""

from collections import Counter

from pydantic import ConfigDict, Field

from shared.json_document import Document


class ConvertDocument(Document):
    """The document of `convert --json`."""

    model_config = ConfigDict(frozen=False)

    files: int = 0
    """Files that were read."""
    records: int = 0
    rows: int = 0
    skipped: int = 0
    """Records of other categories."""
    rejected: Counter[str] = Field(default_factory=Counter)
    """Rejected records by reason."""
    connections: int = 0
