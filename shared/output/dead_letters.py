"""Writes rejected envelopes as dead letters, whose bodies can be had back byte for byte."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from shared.input.envelope import HubPartition, Rejected
from shared.output import json_lines

EXTENSION = "jsonl.gz"
CONTENT_TYPE = json_lines.CONTENT_TYPE


def encode(rejected: Sequence[Rejected], partition: HubPartition, incarnation: int) -> bytes:
    """As JSON Lines, gzip, one line per envelope, whose body can be had back byte for byte.

    A line has `partition`, `sequence`, `enqueued` (ISO 8601, microseconds), `incarnation`, `body` (or
    `body_base64`, where it is not UTF-8), `amqp_body_type` if the body was an AMQP value or sequence and is
    kept as JSON, `rejections` (the first 100: `index`, `reason`, `pointer`,
    `message`, and `text` of a record that is no JSON), `rejected_indexes` (all of them, as closed intervals;
    empty: the whole envelope) and `counts`.
    """
    lines = (
        orjson.dumps(_dead_letter(one, partition, incarnation), option=orjson.OPT_APPEND_NEWLINE)
        for one in rejected
    )
    return json_lines.pack(lines)


def _dead_letter(one: Rejected, partition: HubPartition, incarnation: int) -> dict[str, Any]:
    envelope = one.envelope
    try:
        body = {"body": envelope.body.decode()}
    except UnicodeDecodeError:
        body = {"body_base64": b64encode(envelope.body).decode()}
    amqp = {"amqp_body_type": envelope.amqp} if envelope.amqp else {}
    return {
        "partition": str(partition),
        "sequence": envelope.sequence,
        "enqueued": f"{np.datetime64(envelope.enqueued, 'us')}Z",
        "incarnation": incarnation,
        **body,
        **amqp,
        "rejections": [
            {"index": each.index, "reason": each.reason, "pointer": each.pointer, "message": each.message}
            | ({"text": each.text} if each.text else {})
            for each in one.rejections
        ],
        "rejected_indexes": one.indexes,
        "counts": {str(reason): number for reason, number in one.counts.items()},
    }
