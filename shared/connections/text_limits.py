"""Limits the texts that observations keep, so that clients cannot fill the timer's memory. Pure."""

import hashlib

import pyarrow as pa
import pyarrow.compute as pc

from shared.arrays import lengths

MAX_TEXT = 256
"""Maximum length of an event name or other text in an observation; the exported record has the full text."""


MAX_ID = 512
"""Maximum length of an id in an observation. Real ids are shorter; the exported record has the full id."""


def cut(texts: pa.StringArray) -> pa.StringArray:
    """Cuts texts to MAX_TEXT characters."""
    return texts if lengths(texts).max(initial=0) <= MAX_TEXT else pc.utf8_slice_codeunits(texts, 0, MAX_TEXT)


def bounded(ids: pa.StringArray) -> pa.StringArray:
    """Shortens ids that are too long to their beginning and a hash of the whole id.

    Clients choose ids, and must not be able to fill the memory of the timer.
    """
    short = lengths(ids).max(initial=0) <= MAX_ID
    return ids if short else pa.array(map(_short, ids.to_pylist()), pa.string())


def kept(value: str, column: str) -> str:
    """Returns the part of a text in this column that observations and rows of connections keep."""
    return str(_short(value)) if column in {"_ResourceId", "CorrelationId"} else value[:MAX_TEXT]


def _short(id_: str | None) -> str | None:
    if id_ is None or len(id_) <= MAX_ID:
        return id_
    digest = hashlib.blake2b(id_.encode(), digest_size=16).hexdigest()
    return f"{id_[: MAX_ID - 1 - len(digest)]}~{digest}"
