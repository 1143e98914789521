"""Reads the clock and makes random ids, for the code that starts the program."""

import time
import uuid


def now() -> int:
    """Returns the time in microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def new_id() -> str:
    """Returns a random id of 32 hexadecimal digits."""
    return uuid.uuid4().hex
