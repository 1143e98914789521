"""Decodes envelopes with known keys straight into structs, which is faster than decoding into dicts.

A template does not change results except for the order of keys in AdditionalProperties: a value that it
cannot read exactly like `orjson` is left to `orjson`. The cost of records that fit no template is bounded
here and in `Rows.read`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Annotated, Any, ClassVar, NamedTuple, cast

import msgspec
import pyarrow as pa

from shared.input import shapes
from shared.input.exact_json import repeats
from shared.input.shapes import Keys, RecordKeys, Shape
from shared.tables.table import Column, Table

_KEYS = 32
"""Maximum number of keys of a template: each key that a record lacks costs a little."""
_LETTERS = 4096
"""Maximum number of characters in all keys of a template."""
_PAUSE = 4096
"""Minimum records between two templates: creating one costs as much as reading thousands of records."""
_AGE = 1 << 16
"""The number of records after which a template is built again from the keys that still occur."""

type _Integer = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
type _Scalar = str | _Integer | bool | None
type _Rest = _Scalar | list[_Scalar] | dict[str, _Scalar] | msgspec.UnsetType
"""The type of a key that belongs to no column. Deeper values are left to `orjson`, which limits
the depth. So are numbers that are not integers, because msgspec writes large ones differently, and reads
some of them 200 times as slowly."""

_values = msgspec.structs.astuple
_encode = msgspec.json.Encoder().encode


class Record(msgspec.Struct, gc=False):
    """Values of one record, in the order of its template's keys."""

    template: ClassVar["Template"]


@dataclass(frozen=True, slots=True)
class Template:
    """Reads records that have only these keys, including the required columns."""

    shape: Shape
    """The shape of a record that has all keys."""
    record_keys: RecordKeys
    category: Callable[[Any], str] | None
    """Returns a record's category, or its table if it has no category; None if it has neither."""
    _decode: Callable[[bytes], list[Any]]
    _rest: type[msgspec.Struct]
    _rest_inner: type[msgspec.Struct]

    def records(self, texts: Sequence[bytes]) -> list[list[Any]] | None:
        """Returns the records of each body, or None if at least one body does not fit this template.

        All bodies are decoded in one call. No body can complete another: strings hold no line break, and
        elsewhere JSON has `}`, a line break and `{` only between two values. So each body has at least one
        value.
        """
        if len(texts) > 1 and not all(text.startswith(b"{") and text.endswith(b"}") for text in texts):
            return None
        try:
            bodies = self._decode(b"\n".join(texts))
        except (msgspec.DecodeError, UnicodeDecodeError):  # the latter if a key is not UTF-8
            return None
        # With a single array in each, at its end, no body can have `records` twice.
        suspects = [text for text in texts if text.find(b"]") < len(text) - 3]
        if len(bodies) != len(texts) or (suspects and any(map(repeats, suspects))):
            return None
        return [body.records for body in bodies]

    def columns(self, members: Iterable[Any]) -> tuple[list[tuple[int, Sequence[Any]]], list[bytes | None]]:
        """Returns the values of each column by index into the table's input, and others as JSON objects."""
        values = dict(zip(self.shape.keys, zip(*map(_values, members), strict=True), strict=True))
        columns: list[tuple[int, Sequence[Any]]] = [(at, values[key]) for at, key in self.shape.outer]
        rest: list[Sequence[Any]] = [values[key] for key in self.shape.rest]
        if self.shape.inner_keys is not None:
            opened = zip(*map(_values, values[self.shape.properties]), strict=True)  # type: ignore[index]
            inner = dict(zip(self.shape.inner_keys, opened, strict=True))
            columns += [(at, inner[key]) for at, key in self.shape.inner]
            if self.shape.rest_inner:
                texts = map(_encode, map(self._rest_inner, *(inner[key] for key in self.shape.rest_inner)))
                rest.append([msgspec.UNSET if text == b"{}" else msgspec.Raw(text) for text in texts])
        if not rest:
            return columns, []
        dumped: list[bytes | None] = list(map(_encode, map(self._rest, *rest)))
        return columns, [None if text == b"{}" else text for text in dumped] if b"{}" in dumped else dumped


class Seen(NamedTuple):
    """The keys of an exported record that no template has read."""

    table: Table
    keys: Keys
    inner: Keys | None


@dataclass(slots=True)
class TemplateCache:
    """The template of a process: the next records are likely to have the same keys as the last ones."""

    template: Template | None = None
    _records: int = _PAUSE
    """Records since the template was created, or since the last attempt to create one failed."""

    def learn(self, seen: Sequence[Seen], records: int) -> None:
        """Counts these records, and learns the keys of those that the template did not read."""
        self._records += records
        if self._records >= _AGE and self.template:
            self.template = None
        elif self._records >= _PAUSE and seen:
            self.template = grown(self.template, seen)
            self._records = 0


cache = TemplateCache()


def grown(template: Template | None, seen: Sequence[Seen]) -> Template | None:
    """Returns a template that also reads these keys, or only the first of them, or else the same template.

    A template is for one table: that of the first record.
    """
    table = seen[0].table
    known = [Seen(table, template.shape.keys, template.shape.inner_keys)] if template else []
    known = known if template and template.shape.table is table else []
    some = [*known, *(each for each in seen if each.table is table)]
    inner = [each.inner for each in some]
    union = None if None in inner else _union(each for each in inner if each is not None)
    whole = _sized(table, _union(each.keys for each in some), union)
    return whole or _sized(*seen[0]) or template


def _union(keys: Iterable[Keys]) -> Keys:
    return tuple(dict.fromkeys(key for each in keys for key in each))


def _sized(table: Table, keys: Keys, inner: Keys | None) -> Template | None:
    """Creates a template of limited size, because a sender must not decide how much memory it takes."""
    every = keys + (inner or ())
    return _made(table, keys, inner) if len(every) <= _KEYS and sum(map(len, every)) <= _LETTERS else None


@lru_cache(64)
def _made(table: Table, keys: Keys, inner: Keys | None) -> Template | None:
    """Creates a template; None if a record that lacks some of the keys could mean something else."""
    if not _plain(table, keys, inner):
        return None
    record_keys, shape = shapes.record_keys(keys), shapes.shape(table, keys, inner)
    category = record_keys.category or record_keys.table
    fields = {key: _field(table.input[at]) for at, key in shape.outer}
    rest = (*shape.rest, "properties") if shape.rest_inner else shape.rest
    try:
        if record_keys.properties:
            within = _struct(
                msgspec.Struct, inner or (), {key: _field(table.input[at]) for at, key in shape.inner}
            )
            fields[record_keys.properties] = (within,)
        if category:
            fields[category] = (str,)
        record = _struct(Record, keys, fields)
        rest_, rest_inner = (_struct(msgspec.Struct, each, {}) for each in (rest, shape.rest_inner))
    except ValueError:  # a key that msgspec does not accept as a name
        return None
    body = msgspec.defstruct("Body", [("records", list[record])], forbid_unknown_fields=True, gc=False)  # type: ignore[valid-type]
    record.template = Template(
        shape,
        record_keys,
        attrgetter(_name(keys.index(category))) if category else None,
        msgspec.json.Decoder(body).decode_lines,
        rest_,
        rest_inner,
    )
    return record.template


def _plain(table: Table, keys: Keys, inner: Keys | None) -> bool:
    """Whether no key can stand in for another one that a record may lack."""
    record_keys, shape = shapes.record_keys(keys), shapes.shape(table, keys, inner)
    if (
        record_keys.foreign
        or shape.missing is not None
        or (record_keys.properties is None) != (inner is None)
    ):
        return False
    if any(len({key.lower() for key in each}) < len(each) for each in (keys, inner or ())):
        return False
    return all(
        at in shapes.shape(table, _without(keys, key), inner).absent for at, key in shape.outer
    ) and all(at in shapes.shape(table, keys, _without(inner or (), key)).absent for at, key in shape.inner)


def _without(keys: Keys, key: str) -> Keys:
    return tuple(each for each in keys if each != key)


def _field(column: Column) -> tuple[Any, ...]:
    """Returns the raw type of a column and, unless it is required, its default."""
    kind = str | _Integer | None if column.type == pa.float64() else str | None
    return (kind,) if column.required and column.default is None else (kind, None)


def _name(at: int) -> str:
    return f"_{at}"


def _struct[S: msgspec.Struct](base: type[S], keys: Keys, fields: Mapping[str, tuple[Any, ...]]) -> type[S]:
    """Creates a struct with these keys in order; those without a field may be absent, and hold anything.

    Without fields, an instance is created from all values by position.
    """
    made = msgspec.defstruct(
        base.__name__,
        [(_name(at), *fields.get(key, (_Rest, msgspec.UNSET))) for at, key in enumerate(keys)],
        bases=(base,),
        rename={_name(at): key for at, key in enumerate(keys)},
        forbid_unknown_fields=True,
        gc=False,
        kw_only=bool(fields),
    )
    return cast("type[S]", made)
