"""Writes rejected envelopes as dead letters, with their bodies byte for byte or redacted."""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import orjson

from shared.input.hub_partition import HubPartition
from shared.input.redacted_bodies import redact_body, redact_message
from shared.input.rejections import Rejected
from shared.output import json_lines
from shared.policies import ExportPolicy
from shared.tables.column_keys import extended
from shared.tables.registry import of_categories

EXTENSION = "jsonl.gz"
CONTENT_TYPE = json_lines.CONTENT_TYPE


def encode(
    rejected: Sequence[Rejected],
    partition: HubPartition,
    incarnation: int,
    policy: ExportPolicy,
) -> bytes:
    """Encodes dead letters as gzip JSON Lines, one line per envelope, with a body that can be restored.

    A line has `partition`, `sequence`, `enqueued` (ISO 8601, microseconds), `incarnation`, `body` (or
    `body_base64`, if it is not UTF-8), `amqp_body_type` if the body was an AMQP value or sequence and is
    kept as JSON, `rejections` (the first 100: `index`, `reason`, `pointer`, `message`, and `text` of a
    record that is not JSON), `rejected_indexes` (all of them, as closed intervals; empty: the whole
    envelope) and `counts`.

    With `DEAD_LETTER_BODIES=redacted`, `redacted` counts the replacements in `body` by kind, and messages do
    not quote values. `body_bytes` and `body_sha256` describe the original. If a body is not text, nothing
    else of it is kept.
    """
    lines = (
        orjson.dumps(_dead_letter(one, partition, incarnation, policy), option=orjson.OPT_APPEND_NEWLINE)
        for one in rejected
    )
    return json_lines.pack(lines)


def _dead_letter(
    one: Rejected, partition: HubPartition, incarnation: int, policy: ExportPolicy
) -> dict[str, Any]:
    envelope = one.envelope
    raw = policy.redaction.bodies == "raw"
    amqp = {"amqp_body_type": envelope.amqp} if envelope.amqp else {}
    return {
        "partition": str(partition),
        "sequence": envelope.sequence,
        "enqueued": f"{np.datetime64(envelope.enqueued, 'us')}Z",
        "incarnation": incarnation,
        **(_raw(envelope.body) if raw else _redacted(envelope.body, policy)),
        **amqp,
        "rejections": [
            {
                "index": each.index,
                "reason": each.reason,
                "pointer": each.pointer,
                "message": each.message if raw else redact_message(each.message),
            }
            | ({"text": each.text} if each.text and raw else {})
            for each in one.rejections
        ],
        "rejected_indexes": one.indexes,
        "counts": {str(reason): number for reason, number in one.counts.items()},
    }


def _raw(body: bytes) -> dict[str, Any]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"body_base64": b64encode(body).decode()}


def _redacted(body: bytes, policy: ExportPolicy) -> dict[str, Any]:
    tables = [extended(table, policy.column_keys) for table in of_categories(policy.categories)]
    found = redact_body(body, policy.redaction, tables)
    original = {"body_bytes": len(body), "body_sha256": sha256(body).hexdigest()}
    if found.text is None:
        return original
    if not found.replaced:
        return {"body": found.text}
    return {"body": found.text, "redacted": dict(found.replaced)} | original
