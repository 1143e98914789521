"""Parses the filter in which a reader states its starting position.

It accepts the expressions that the Python SDK writes (`azure.eventhub._utils.event_position_selector`), and
those of the .NET client, which omits the quotes.
"""

import re
from dataclasses import dataclass
from enum import Enum

from .amqp_types import Described
from .errors import ARGUMENT_ERROR, AmqpError

FILTER = "apache.org:selector-filter:string"

_EXPRESSION = re.compile(
    r"amqp\.annotation\.x-opt-(?P<field>offset|sequence-number|enqueued-time) "
    r"(?P<operator>>=?) (?P<quote>'?)(?P<value>[^']*)(?P=quote)"
)


class Field(Enum):
    """The unit of a position."""

    OFFSET = "offset"
    SEQUENCE_NUMBER = "sequence-number"
    ENQUEUED_TIME = "enqueued-time"  # milliseconds
    END = "@latest"


@dataclass(frozen=True)
class Position:
    """Where a reader starts: after `value`, or at it if `inclusive`."""

    field: Field
    value: int
    inclusive: bool


START = Position(Field.OFFSET, -1, inclusive=False)


def parse(filters: object) -> Position:
    """Parses the position in the filters of a link's source; without a filter, it is the start."""
    selector = filters.get(FILTER) if isinstance(filters, dict) else None
    if selector is None:
        return START
    expression = selector.value if isinstance(selector, Described) else selector
    text = expression.decode() if isinstance(expression, bytes) else str(expression)
    match = _EXPRESSION.fullmatch(text)
    if not match:
        raise AmqpError(ARGUMENT_ERROR, f"The filter {text!r} is not supported.")
    inclusive = match["operator"] == ">="
    if match["value"] == Field.END.value:
        return Position(Field.END, 0, inclusive)
    try:
        return Position(Field(match["field"]), int(match["value"]), inclusive)
    except ValueError:
        raise AmqpError(ARGUMENT_ERROR, f"The {match['field']} {match['value']!r} is not a number.") from None
