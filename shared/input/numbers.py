"""Reads the numbers of records: JSON numbers, and text that holds one."""

import math
import re

NUMERIC = re.compile(r"[+-]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)?", re.ASCII)
"""A decimal number. Its quantifiers are possessive, so that matching takes linear time."""


def read(value: object) -> float | None:
    """Returns the finite number that a value is, or that its text holds; otherwise None."""
    if type(value) is str and NUMERIC.fullmatch(text := value.strip()):
        number = float(text)  # unlike `strip`, `float` does not strip U+001C to U+001F
    elif type(value) in {int, float}:
        try:
            number = float(value)  # type: ignore[arg-type]
        except OverflowError:
            return None
    else:
        return None
    return number if math.isfinite(number) else None
