"""Puts numbers and values into sentences: `1 file`, `2 files`, `an array of 3 elements`. Pure."""

import json

_QUOTED = 80


def counted(number: int, one: str, many: str = "") -> str:
    """Formats a number with its noun: `1 file`, `2 files`.

    Args:
        number: the number.
        one: the noun after 1, or the noun and its verb: `file is`.
        many: the words after any other number: `files are`. By default, `one` with an s.
    """
    return f"{number:,} {one}" if number == 1 else f"{number:,} {many or f'{one}s'}"


def quote(value: object) -> str:
    """Formats a value for a message: at most 80 characters of printable ASCII.

    Text becomes a JSON string with escapes, truncated with `...`; objects and arrays show only their size.
    """
    match value:
        case dict():
            return f"an object of {counted(len(value), 'key')}"
        case list():
            return f"an array of {counted(len(value), 'element')}"
        case bytes():
            text = json.dumps(value[:_QUOTED].decode("latin-1"))
        case str():
            text = json.dumps(value[:_QUOTED])
        case _:
            text = json.dumps(value)
    text = text.replace("\x7f", "\\u007f")
    return text if len(text) <= _QUOTED else f"{text[: _QUOTED - 3]}..."
