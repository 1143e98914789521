"""Puts numbers into sentences: `1 file`, `2 files`. Pure."""


def counted(number: int, one: str, many: str = "") -> str:
    """Formats a number with its noun: `1 file`, `2 files`.

    Args:
        number: the number.
        one: the noun after 1, or the noun and its verb: `file is`.
        many: the words after any other number: `files are`. By default, `one` with an s.
    """
    return f"{number:,} {one}" if number == 1 else f"{number:,} {many or f'{one}s'}"
