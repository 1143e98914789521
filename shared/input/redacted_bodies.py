r"""Redacts the text of a whole message for its dead letter, and keeps JSON what was JSON. Pure.

A rule that ran over the raw text would miss what JSON escapes (`\u0026token=`), and could swallow the
backslash of an escaped quote. So each string literal is decoded, redacted and encoded again; everything else
stays as it is, byte for byte. Text that is no JSON is redacted as it stands.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from shared.input import redaction
from shared.policies import RedactionPolicy
from shared.tables.column import Table

_LITERAL = re.compile(r'("(?:[^"\\]++|\\.?+)*+"?)', re.DOTALL)
"""A string literal, or the beginning of one that never ends: each attempt matches, so time is linear."""
_QUOTED = re.compile(r'"(?:[^"\\]++|\\.?+)*+"?', re.DOTALL)
_DEPTH = 4
"""JSON in a string of JSON in a string, and so on: Azure Monitor's exports have two levels."""
COLUMN = "column"
"""The kind of what HASH_COLUMNS and DROP_COLUMNS remove."""
VALUE = "[redacted:value]"


@dataclass(frozen=True, slots=True)
class RedactedBody:
    """What a dead letter may keep of a message."""

    text: str | None
    """None: the body is no text, and nothing of it is kept."""
    replaced: Counter[str] = field(default_factory=Counter)
    """How many texts were replaced, by kind."""


def redact_body(body: bytes, policy: RedactionPolicy, tables: Iterable[Table]) -> RedactedBody:
    """The text of a message without what the policy removes from rows of these tables.

    Values of hashed and dropped columns are replaced by a marker wherever their keys are.
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
    """The message of a rejection without the values that it quotes."""
    return _QUOTED.sub(VALUE, message)


def _keys(policy: RedactionPolicy, tables: Iterable[Table]) -> Iterator[str]:
    """The names under which messages have columns that are hashed or dropped."""
    removed = {*policy.hash_columns, *policy.drop_columns}
    for table in tables:
        for column in table.columns:
            if column.name in removed:
                yield from (key.rpartition(".")[2] for key in column.keys)


def _redacted(
    texts: list[str], policy: RedactionPolicy, keys: list[str], replaced: Counter[str], depth: int
) -> list[str]:
    """All texts of one depth at a time: a call for each would be slow in a body of many small ones."""
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
    """The text of a string literal; None: it is none, or no text that can be encoded."""
    try:
        value = json.loads(literal, strict=False)
        value.encode()
    except ValueError:
        return None
    return str(value)
