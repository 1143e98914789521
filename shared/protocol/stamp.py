"""What makes one attempt to write a document unique: its id and its time. Pure data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stamp:
    """What makes a commit this commit; given from outside, so that the same plan gives the same bytes."""

    commit_id: str
    """32 hexadecimal digits, new for every attempt to write a ledger."""
    now: int
    """Microseconds since 1970 UTC."""
