r"""Redacts the text of a whole message for its dead letter, so that JSON stays valid. Pure.

A rule that ran over the raw text would miss what JSON escapes (`\u0026token=`), and could swallow the
backslash of an escaped quote. So each string literal is decoded, redacted and encoded again; everything else
stays unchanged, byte for byte. Text that is not JSON is redacted as plain text.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from shared.input import redaction
from shared.policies import RedactionPolicy
from shared.tables.table import Table

_LITERAL = re.compile(r'("(?:[^"\\]++|\\.?+)*+"?)', re.DOTALL)
"""A string literal, or the beginning of one that never ends: each attempt matches, so time is linear."""
_QUOTED = re.compile(r'"(?:[^"\\]++|\\.?+)*+"?', re.DOTALL)
_DEPTH = 4
"""Maximum levels of JSON inside JSON strings; Azure Monitor's exports have two."""
COLUMN = "column"
"""The kind of marker for values that HASH_COLUMNS and DROP_COLUMNS remove."""
VALUE = "[redacted:value]"


@dataclass(frozen=True, slots=True)
class RedactedBody:
    """The part of a message that a dead letter may keep."""

    text: str | None
    """None if the body is not text; then nothing of it is kept."""
    replaced: Counter[str] = field(default_factory=Counter)
    """The number of replaced texts, by kind."""


def redact_body(body: bytes, policy: RedactionPolicy, tables: Iterable[Table]) -> RedactedBody:
    """Removes from the text of a message what the policy removes from rows of these tables.

    Values of hashed and dropped columns are replaced by a marker wherever their keys occur.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return RedactedBody(None)
    replaced: Counter[str] = Counter()
    keys = sorted(set(_keys(policy, tables)))
    (text,) = _redacted([text], policy, keys, replaced, _DEPTH)
    return RedactedBody(text, replaced)


def redact_message(message: str) -> str:
    """Removes quoted values from the message of a rejection."""
    return _QUOTED.sub(VALUE, message)


def _keys(policy: RedactionPolicy, tables: Iterable[Table]) -> Iterator[str]:
    """Yields the keys under which messages have hashed or dropped columns."""
    removed = {*policy.hash_columns, *policy.drop_columns}
    for table in tables:
        for column in table.columns:
            if column.name in removed:
                yield from (key.rpartition(".")[2] for key in column.keys)


def _redacted(
    texts: list[str], policy: RedactionPolicy, keys: list[str], replaced: Counter[str], depth: int
) -> list[str]:
    """Redacts all texts of one depth together, because one call for each small text would be slow."""
    texts = [_without_columns(text, keys, replaced) for text in texts]
    if not texts or (policy.level == "off" and not keys):
        return texts
    # Every other piece is a literal.
    split = [_LITERAL.split(text) for text in redaction.redact_properties(texts, policy, replaced)]
    pieces = [piece for each in split for piece in each]
    is_literal = [at % 2 for each in split for at in range(len(each))]
    decoded = [_decoded(piece) if is_ else None for piece, is_ in zip(pieces, is_literal, strict=True)]
    plain = [piece if text is None else text for piece, text in zip(pieces, decoded, strict=True)]
    clean = redaction.redact_texts(plain, policy, replaced)
    nested = [at for at, text in enumerate(decoded) if depth and text and '"' in text]
    inner = _redacted([clean[at] for at in nested], policy, keys, replaced, depth - 1)
    for at, value in zip(nested, inner, strict=True):
        clean[at] = value
    for at, text in enumerate(decoded):
        if text is not None:
            clean[at] = pieces[at] if clean[at] == text else json.dumps(clean[at], ensure_ascii=False)
    parts = iter(clean)
    return ["".join(islice(parts, len(each))) for each in split]


def _without_columns(text: str, keys: list[str], replaced: Counter[str]) -> str:
    if not keys:
        return text
    names = "|".join(map(re.escape, keys))
    pattern = re.compile(
        rf'("(?:{names})"\s*+:\s*+)(?:"(?:[^"\\]++|\\.?+)*+"?|[^\s",\[\]{{}}]++)', re.DOTALL | re.IGNORECASE
    )
    text, number = pattern.subn(rf'\1"[redacted:{COLUMN}]"', text)
    if number:
        replaced[COLUMN] += number
    return text


def _decoded(literal: str) -> str | None:
    """Decodes a string literal; None if it is not one, or if its text cannot be encoded."""
    try:
        value = json.loads(literal, strict=False)
        value.encode()
    except ValueError:
        return None
    return str(value)
