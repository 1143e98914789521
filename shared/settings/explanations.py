"""Explains in one line why the value of a setting is rejected."""

from collections.abc import Collection, Mapping
from datetime import timedelta

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

DURATION = "a duration such as 90s, 15m, 24h, 7d, 01:30:00 or PT90M"
NUMBERS = {"int_parsing": "a whole number", "int_type": "a whole number", "bool_parsing": "true or false"}
LIMITS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def written(value: object) -> str:
    """Formats a setting's value as in the environment: durations as HH:MM:SS, lists with commas."""
    match value:
        case timedelta():
            hours, rest = divmod(int(value.total_seconds()), 3600)
            return f"{hours:02}:{rest // 60:02}:{rest % 60:02}"
        case tuple():
            return ",".join(map(str, value))
        case bool():
            return str(value).lower()
    return str(value)


def explain(problem: ErrorDetails, fields: Mapping[str, FieldInfo], secrets: Collection[str]) -> str:
    """Returns one line: the setting, what is allowed, what was found, the default, the meaning.

    Args:
        problem: pydantic's error.
        fields: the declared settings by name.
        secrets: names of settings whose values are not shown.
    """
    if not problem["loc"]:
        return str(problem["ctx"]["error"])
    name = str(problem["loc"][0])
    field = fields[name]
    if problem["type"] == "missing":
        return f"{name}: is required but not set. {field.description}"
    found = "***" if name in secrets else f"{written(problem['input'])!r}"
    default = "" if field.is_required() else f" The default is {written(field.default) or 'empty'}."
    return f"{name}: must be {_allowed(problem, field)}; got {found}.{default} {field.description}"


def _allowed(problem: ErrorDetails, field: FieldInfo) -> str:
    kind = problem["type"]
    if kind in LIMITS:
        key, words = LIMITS[kind]
        limit = next(getattr(one, key) for one in field.metadata if hasattr(one, key))
        return f"{words} {written(limit)}"
    if kind.startswith("time_delta"):
        return DURATION
    if kind == "literal_error":
        return str(problem["ctx"]["expected"])
    if kind in {"too_short", "string_too_short"}:
        return "a name or a comma-separated list of names, not empty"
    if kind == "string_pattern_mismatch":
        return "a host name such as example.servicebus.windows.net, without sb:// and port"
    return NUMBERS.get(kind, problem["msg"][:1].lower() + problem["msg"][1:])
