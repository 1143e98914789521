"""Describes why a value is not a record."""

import orjson

from shared.input.bodies import Unfit
from shared.input.rejections import RejectionDetail
from shared.input.salvage import Malformed
from shared.wording import quote

TEXT_QUOTED = 8192
"""Bytes of a malformed record that its rejection quotes."""


def malformed(record: Malformed) -> RejectionDetail:
    """Describes a record that is not JSON: the problem, and the beginning of its text."""
    try:
        orjson.loads(record.text)
        problem = "it is not closed"
    except orjson.JSONDecodeError as error:
        problem = quote(str(error))
    text = record.text[:TEXT_QUOTED].decode("utf-8", "backslashreplace")
    return f"expected JSON, got {quote(record.text)}: {problem}", "", text


def no_object(value: object) -> str:
    """Describes a value that stands in place of a record but is not an object."""
    if type(value) is Unfit:
        return value.message
    if type(value) is bytes:
        return f"expected a line with a JSON object, array or envelope, got {quote(value)}"
    return f"expected a JSON object, got {quote(value)}"
