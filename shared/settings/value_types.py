"""The types of settings: durations, lists of names, names of a registry."""

import re
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

from shared.output.formats import FORMATS
from shared.tables.column_keys import EXAMPLE, ColumnKeys, parse
from shared.tables.registry import categories

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
SHORT = re.compile(r"(\d{1,9})([smhd])")


def one_of(names: Callable[[], Collection[str]]) -> AfterValidator:
    """Returns a validator for names of a registry."""

    def known(name: str) -> str:
        if name not in names():
            expected = " or ".join(map(repr, names()))
            raise PydanticCustomError("literal_error", "must be {expected}", {"expected": expected})
        return name

    return AfterValidator(known)


def column_keys(value: Any) -> Any:
    """Parses the text of a setting as `ColumnKeys`."""
    if not isinstance(value, str):
        return value
    try:
        return parse(value)
    except ValueError:
        expected = f"columns with keys, such as {EXAMPLE}"
        raise PydanticCustomError("literal_error", "must be {expected}", {"expected": expected}) from None


def names(value: Any) -> Any:
    """Returns the distinct names in a comma-separated text."""
    if isinstance(value, str):
        return tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
    return value


def duration(value: Any) -> Any:
    """Converts `90s`, `15m`, `24h` and `7d` to a timedelta; pydantic parses all other forms."""
    if isinstance(value, str) and (short := SHORT.fullmatch(value.strip())):
        return timedelta(**{UNITS[short[2]]: int(short[1])})
    return value


_NAMES = (NoDecode, BeforeValidator(names))
OutputFormats = Annotated[tuple[Annotated[str, one_of(lambda: FORMATS)], ...], *_NAMES]
Categories = Annotated[tuple[Annotated[str, one_of(categories)], ...], *_NAMES]
Names = Annotated[tuple[str, ...], Field(min_length=1), *_NAMES]
Columns = Annotated[tuple[str, ...], *_NAMES]
MoreKeys = Annotated[ColumnKeys, NoDecode, BeforeValidator(column_keys)]
Duration = Annotated[timedelta, BeforeValidator(duration)]
Span = Annotated[Duration, Field(gt=timedelta(0))]
