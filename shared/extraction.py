"""Takes records apart by shape: values into columns, records of other categories out."""

import json
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from operator import itemgetter
from typing import Any

import orjson

from shared import shapes
from shared.envelope import Reason, quote
from shared.findings import Findings
from shared.schema import CATEGORY, RECORDS
from shared.shapes import INPUT, Frame, Keys, Shape

type Record = dict[str, Any]

_WRONG = "\0"
"""No category, no table."""


@dataclass(frozen=True, slots=True)
class Run:
    """Rows of one envelope and one shape that lie together."""

    start: int
    findings: Findings
    shape: Shape


@dataclass(slots=True)
class Rows:
    """Values as they came, and where they came from."""

    columns: list[list[Any]] = field(default_factory=lambda: [[] for _ in INPUT])
    """A list for each column of INPUT; where it ends early, None is left out."""
    rest: list[bytes | None] = field(default_factory=list)
    """What no column claimed, as a JSON object."""
    indexes: array[int] = field(default_factory=lambda: array("i"))
    """Of the records in their envelopes."""
    runs: list[Run] = field(default_factory=list)

    def add(self, found: list[object], findings: Findings) -> int:
        """Takes an envelope's records, and rejects those that have no columns. How many are foreign.

        The records are emptied on the way.
        """
        members: list[Any] = found
        where: Sequence[int] = range(len(found))
        if set(map(type, found)) - {dict}:
            others = [index for index in where if type(found[index]) is not dict]
            findings.add(Reason.RECORD_NOT_AN_OBJECT, others, lambda at: (_no_object(found[others[at]]), ""))
            where = [index for index in where if type(found[index]) is dict]
            members = _pick(found, where)
        foreign = 0
        for keys, at in _groups(list(map(tuple, members))):
            foreign += self._add_framed(
                shapes.frame(keys), keys, _pick(members, at), _pick(where, at), findings
            )
        return foreign

    def _add_framed(
        self, frame: Frame, keys: Keys, members: list[Record], where: Sequence[int], findings: Findings
    ) -> int:
        """Takes records with the same keys. How many are foreign."""
        if frame.foreign:
            return len(members)
        ours, foreign = _ours(frame, members, where, findings)
        members, where = _pick(members, ours), _pick(where, ours)
        if frame.properties is None:
            self._add_shaped(shapes.shape(keys, None), members, [], where, findings)
            return foreign
        inner, good = _properties(frame.properties, members, where, findings)
        members, inner, where = _pick(members, good), _pick(inner, good), _pick(where, good)
        for inner_keys, at in _groups([None if each is None else (*each,) for each in inner]):
            shape = shapes.shape(keys, inner_keys)
            self._add_shaped(shape, _pick(members, at), _pick(inner, at), _pick(where, at), findings)
        return foreign

    def _add_shaped(
        self, shape: Shape, members: list[Record], inner: list[Any], where: Sequence[int], findings: Findings
    ) -> None:
        """Takes records of one shape."""
        if not members:
            return
        if shape.missing is not None:
            message = f"expected {INPUT[shape.missing].name}, came none of {shapes.places(shape.missing)}"
            findings.add(Reason.MISSING_REQUIRED_FIELD, where, lambda _: (message, ""))
            return
        start = len(self.indexes)
        self.runs.append(Run(start, findings, shape))
        self.indexes.extend(where)
        for source, places, rest in (
            (members, shape.outer, shape.rest),
            (inner, shape.inner, shape.rest_inner),
        ):
            for column, key in places:
                values = self.columns[column]
                if len(values) < start:
                    values.extend(repeat(None, start - len(values)))
                values.extend(map(dict.pop, source, repeat(key)) if rest else map(itemgetter(key), source))
        if shape.rest_inner:
            for member, each in zip(members, inner, strict=True):
                member["properties"] = each
        self.rest.extend(_dumped(members) if shape.rest else repeat(None, len(members)))


def _ours(
    frame: Frame, members: list[Record], where: Sequence[int], findings: Findings
) -> tuple[Sequence[int] | None, int]:
    """Which records are of the category, or of the table (None: all), and how many are foreign."""
    key, name = (frame.category, CATEGORY) if frame.category is not None else (frame.table, RECORDS.name)
    if key is None:
        return None, 0
    values = list(map(dict.pop, members, repeat(key)))
    if values and type(values[0]) is str and values.count(values[0]) == len(values):
        return (None, 0) if values[0].lower() == name.lower() else ([], len(values))
    wrong = []
    if set(map(type, values)) - {str, type(None)}:
        wrong = [at for at, value in enumerate(values) if type(value) is not str and value is not None]
        findings.add(
            Reason.WRONG_TYPE,
            [where[at] for at in wrong],
            lambda at: (f"expected text in {key.lower()}, came {quote(values[wrong[at]])}", f"/{key}"),
        )
    known = (
        [value if type(value) is str or value is None else _WRONG for value in values] if wrong else values
    )
    distinct = set(known)
    # null says nothing of a category: such a record is checked, not skipped.
    accepted = {value for value in distinct if value is None or value.lower() == name.lower()}
    if accepted == distinct:
        return None, 0
    ours = [at for at, value in enumerate(known) if value in accepted] if accepted else []
    return ours, len(values) - len(wrong) - len(ours)


def _properties(
    key: str, members: list[Record], where: Sequence[int], findings: Findings
) -> tuple[list[Any], Sequence[int] | None]:
    """The properties, an object or None each, and which records they can be read of (None: all)."""
    values = list(map(dict.pop, members, repeat(key)))
    if not set(map(type, values)) - {dict}:
        return values, None
    opened = [_object(value) if type(value) is str else value for value in values]
    wrong = [at for at, value in enumerate(opened) if type(value) is not dict and value is not None]
    if not wrong:
        return opened, None
    findings.add(
        Reason.WRONG_TYPE,
        [where[at] for at in wrong],
        lambda at: (
            f"expected an object or its JSON text in properties, came {quote(values[wrong[at]])}",
            f"/{key}",
        ),
    )
    return opened, [at for at, value in enumerate(opened) if type(value) is dict or value is None]


def _object(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _dumped(members: list[Record]) -> list[bytes]:
    try:
        return list(map(orjson.dumps, members))
    except orjson.JSONEncodeError:
        return [_dumped_deep(member) for member in members]


def _dumped_deep(member: Record) -> bytes:
    """Orjson reads 1,024 levels and writes 254 (ijl/orjson, `Recursion limit reached`)."""
    try:
        return orjson.dumps(member)
    except orjson.JSONEncodeError:
        return json.dumps(member, ensure_ascii=False, separators=(",", ":")).encode()


def _groups[K](keys: list[K]) -> list[tuple[K, Sequence[int] | None]]:
    """Each distinct key and where it is, in order of appearance; None: everywhere."""
    if keys and keys.count(keys[0]) == len(keys):
        return [(keys[0], None)]
    groups: dict[K, list[int]] = {}
    for at, key in enumerate(keys):
        if key in groups:
            groups[key].append(at)
        else:
            groups[key] = [at]
    return list(groups.items())


def _pick[S: Sequence[Any]](values: S, at: Sequence[int] | None) -> S:
    return values if at is None else [values[each] for each in at]  # type: ignore[return-value]


def _no_object(value: object) -> str:
    if type(value) is bytes:
        return f"expected a line with a JSON object, array or envelope, came {quote(value)}"
    return f"expected a JSON object, came {quote(value)}"
