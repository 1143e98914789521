"""Parses and serializes the JSON documents of the state container, such as ledgers. Pure."""

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.errors import LedgerError, LedgerTooLarge, LedgerTooNew
from shared.wording import counted

MAX_BYTES = 4 << 20
"""Maximum size of a document (bytes), far below the limit of one Put Blob. Real documents take kilobytes."""


class Data(BaseModel):
    """A part of a document. Immutable. Keys of a newer program survive a rewrite by this one."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Document(Data):
    """A document that is written as a whole, with the format that a reader must support."""

    format: int


def parse[D: Document](kind: type[D], data: bytes, name: str, newest: int) -> D:
    """Parses a document of a format up to `newest`. Raises LedgerTooNew or LedgerError.

    `name` is the blob's name, for messages.
    """
    try:
        document = kind.model_validate_json(data)
    except ValidationError as error:
        raise LedgerError(
            f"{name} is damaged ({counted(error.error_count(), 'error')}): {data[:60]!r}"
        ) from error
    if document.format > newest:
        raise LedgerTooNew(
            f"{name} has format {document.format}, but this program reads only up to {newest}; "
            "deploy a newer version"
        )
    return document


def dump(document: Document, name: str, contents: str = "") -> bytes:
    """Serializes a document for one Put Blob. Raises LedgerTooLarge, whose message ends with `contents`."""
    data = document.model_dump_json().encode()
    if len(data) > MAX_BYTES:
        raise LedgerTooLarge(f"{name}: {len(data)} bytes, at most {MAX_BYTES}{contents}")
    return data
