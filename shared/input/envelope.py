"""Declares an envelope: one Event Hub event and the records in it. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Envelope:
    """One Event Hub event of a partition."""

    sequence: int
    enqueued: int
    """The enqueued time in microseconds since 1970-01-01 UTC."""
    body: bytes
    only: tuple[tuple[int, int], ...] = ()
    """The indexes of the records to export, as closed intervals; others were exported earlier. Empty: all."""
    amqp: str = ""
    """`value` or `sequence` if the event has an AMQP body of that type; `body` is then its JSON form.

    Empty for binary data, which all other events have.
    """
