"""Reads the numbers of records: JSON numbers, and text that holds one."""

import math
import re

NUMERIC = re.compile(r"[+-]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)?", re.ASCII)
"""A decimal number. Possessive, so that matching takes time linear in the length of the text."""


def read(value: object) -> float | None:
    """A finite number, or one in text; None: it is neither."""
    if type(value) is str and NUMERIC.fullmatch(text := value.strip()):
        number = float(text)  # which itself strips less: not U+001C to U+001F
    elif type(value) in {int, float}:
        try:
            number = float(value)  # type: ignore[arg-type]
        except OverflowError:
            return None
    else:
        return None
    return number if math.isfinite(number) else None
