"""Splits records by shape: extracts values into columns and sets aside records of other categories."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from shared.input import shapes, templates
from shared.input.big_integers import Rereader, suspects
from shared.input.descriptions import malformed, no_object
from shared.input.envelope import Envelope
from shared.input.grouping import dumped, groups, pick
from shared.input.origins import Origins
from shared.input.properties import opened
from shared.input.rejections import Reason
from shared.input.salvage import Malformed
from shared.input.shapes import Keys, RecordKeys, Shape
from shared.input.table_rows import TableRows
from shared.input.templates import Seen, Template
from shared.tables.registry import names_of
from shared.tables.table import Table
from shared.wording import quote

type Record = dict[str, Any]

_WAITING = 512
"""Minimum number of records that are split at a time; small enough for the processor's cache."""
_TOGETHER = 4096
"""Maximum number of records split at a time: intermediate results take several times their memory."""
_CREDIT = 1 << 15
"""Bytes of bodies that a template may fail to read; each body that it reads adds a quarter of its size."""
_SIZE = 1 << 20
"""Larger bodies are left to `shared.input.bodies`, which bounds their memory."""
_LACKING = 64
"""Maximum number of shapes without a required column that are remembered per check."""
_WRONG = "\0"
"""Stands for a value that names neither a category nor a table."""


@dataclass(slots=True)
class Rows:
    """The raw values of records, and where they came from."""

    limit: int
    """Bytes of memory that JSON text inside a record may take."""
    exported: tuple[Table, ...]
    """The exported tables; a record without a category belongs to the first one."""
    origins: Origins = field(default_factory=Origins)
    tables: dict[str, TableRows] = field(default_factory=dict)
    """The tables that have rows, by name."""
    foreign: int = 0
    """Records of other categories and tables."""
    lacking: dict[Shape, int] = field(default_factory=dict)
    """Shapes of records that were rejected because a required column has no key, with their count."""
    template: Template | None = field(default_factory=lambda: templates.cache.template)
    """Decodes the next bodies; None if there is no template."""
    _rereader: Rereader = field(init=False)
    _waiting: list[object] = field(default_factory=list)
    _alike: bool = True
    """Whether the template has read all of the last bodies, so that it may read the next ones together."""
    _credit: int = _CREDIT
    _seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rereader = Rereader(self.limit, self.exported)

    def read(self, texts: Sequence[bytes]) -> Sequence[list[object] | None]:
        """Reads each body with the template; None if it does not fit, or if too many recent ones did not."""
        together = self._tried(texts) if self._alike and len(texts) > 1 else None
        if together is not None:
            return together
        # Unless all of these fit, the next group is not tried: at most every other group is tried without
        # success.
        one_by_one = [self._tried([text]) for text in texts]
        self._alike = None not in one_by_one
        return [each[0] if each else None for each in one_by_one]

    def _tried(self, texts: Sequence[bytes]) -> list[list[object]] | None:
        """Reads all bodies with the template, or none."""
        if self.template is None or self._credit < 0 or self.template.shape.table not in self.exported:
            return None
        if (size := sum(map(len, texts))) > _SIZE:
            return None
        found = self.template.records(texts)
        if found is not None and self._mixed(found):
            return None
        if found is not None:
            self._credit += size // 4
        elif len(texts) == 1:
            self._credit -= size
        return found

    def _mixed(self, found: list[list[object]]) -> bool:
        """Whether some records belong to an exported table other than the template's."""
        template = self.template
        if len(self.exported) == 1 or template is None or template.category is None:
            return False
        others = names_of(set(self.exported) - {template.shape.table})
        named = set(map(template.category, chain.from_iterable(found)))
        return not others.isdisjoint(name.strip().lower() for name in named)

    def add(
        self, envelopes: Sequence[Envelope], found: Sequence[list[object]], problems: Mapping[int, str]
    ) -> None:
        """Adds the records of envelopes, some of which may have problems. Empties `found` and its dicts."""
        self.origins.add(envelopes, list(map(len, found)), problems)
        self._waiting += chain.from_iterable(found)
        if len(self._waiting) >= _TOGETHER:
            for records in found:
                records.clear()
        if len(self._waiting) >= _WAITING:
            self.take()

    def take(self) -> None:
        """Splits the waiting records into columns, rejects those without columns, and learns their keys."""
        waiting, self._waiting = self._waiting, []
        first = self.origins.records - len(waiting)
        for start in range(0, len(waiting), _TOGETHER):
            found = waiting[start : start + _TOGETHER]
            if len(found) < len(waiting):  # frees the memory of each part when it is done
                waiting[start : start + _TOGETHER] = [None] * len(found)
            numbers: Sequence[int] = range(first + start, first + start + len(found))
            for kind, at in groups(list(map(type, found))):
                self._add(kind, pick(found, at), pick(numbers, at))
        templates.cache.learn(self._seen, len(waiting))
        self._seen.clear()
        if self.template is not templates.cache.template:
            self.template, self._credit = templates.cache.template, _CREDIT

    def _add(self, kind: type, found: list[Any], where: Sequence[int]) -> None:
        """Adds records that orjson or a template has decoded, all of one type."""
        if kind is dict:
            for keys, at in groups([(*member,) for member in found]):
                self._add_with_keys(shapes.record_keys(keys), keys, pick(found, at), pick(where, at))
        elif issubclass(kind, templates.Record):
            self._add_structs(kind.template, found, where)
        elif kind is Malformed:
            names = {name.encode() for name in names_of(self.exported)}
            ours = [at for at, record in enumerate(found) if not record.foreign(names)]
            self.foreign += len(found) - len(ours)
            self.origins.reject(
                Reason.MALFORMED_RECORD, [where[at] for at in ours], lambda at: malformed(found[ours[at]])
            )
        else:
            self.origins.reject(Reason.RECORD_NOT_AN_OBJECT, where, lambda at: (no_object(found[at]), ""))

    def _add_structs(self, template: Template, members: list[Any], where: Sequence[int]) -> None:
        """Adds records that a template has read."""
        if template.category:
            found = self._by_table(template.record_keys, list(map(template.category, members)), where)
            ours = next((at for table, at in found if table is template.shape.table), ())
            members, where = pick(members, ours), pick(where, ours)
        if not members:
            return
        rows = self._rows(template.shape.table)
        rows.begin(template.shape, where)
        columns, rest = template.columns(members)
        for column, values in columns:
            rows.columns.extend(column, values)
        if rest:
            rows.columns.extend(rows.rest, rest)
        rows.columns.end(len(members))

    def _rows(self, table: Table) -> TableRows:
        found = self.tables.get(table.name)
        if found is None:
            found = self.tables[table.name] = TableRows(table)
        return found

    def _add_with_keys(
        self, record_keys: RecordKeys, keys: Keys, members: list[Record], where: Sequence[int]
    ) -> None:
        """Adds records with the same keys."""
        if record_keys.foreign:
            self.foreign += len(members)
            return
        key = record_keys.category or record_keys.table
        found = (
            self._by_table(record_keys, [member.pop(key) for member in members], where)
            if key
            else [(self.exported[0], None)]
        )
        for table, at in found:
            self._add_of_table(table, record_keys, keys, pick(members, at), pick(where, at))

    def _add_of_table(
        self, table: Table, record_keys: RecordKeys, keys: Keys, members: list[Record], where: Sequence[int]
    ) -> None:
        """Adds records of one table with the same keys."""
        if record_keys.properties is None:
            self._add_shaped(shapes.shape(table, keys, None), members, [], where)
            return
        key = record_keys.properties
        inner = [member.pop(key) for member in members]
        odd = []
        if set(map(type, inner)) - {dict}:
            inner = [opened(each, self.limit) for each in inner]
            odd = [at for at, each in enumerate(inner) if each is not None and type(each) is not dict]
        if odd:
            kept = [members[at] | {"properties": inner[at]} for at in odd]
            self._add_shaped(shapes.shape(table, keys, None), kept, [], [where[at] for at in odd], rest=True)
            good = [at for at, each in enumerate(inner) if each is None or type(each) is dict]
            members, inner, where = pick(members, good), pick(inner, good), pick(where, good)
        for inner_keys, at in groups([None if each is None else (*each,) for each in inner]):
            shape = shapes.shape(table, keys, inner_keys)
            self._add_shaped(shape, pick(members, at), pick(inner, at), pick(where, at))

    def _by_table(
        self, record_keys: RecordKeys, values: list[Any], where: Sequence[int]
    ) -> list[tuple[Table, Sequence[int] | None]]:
        """Assigns records to exported tables (None: all records) by their category or table name."""
        tables = {
            str(table.category if record_keys.category else table.name).lower(): table
            for table in self.exported
        }
        if values and type(values[0]) is str and values.count(values[0]) == len(values):
            table = tables.get(values[0].strip().lower())
            self.foreign += 0 if table else len(values)
            return [(table, None)] if table else []
        wrong = []
        if set(map(type, values)) - {str, type(None)}:
            wrong = [at for at, value in enumerate(values) if type(value) is not str and value is not None]
            key = record_keys.category or record_keys.table or ""
            self.origins.reject(
                Reason.WRONG_TYPE,
                [where[at] for at in wrong],
                lambda at: (f"expected text in {key.lower()}, got {quote(values[wrong[at]])}", f"/{key}"),
            )
        known = (
            [value if type(value) is str or value is None else _WRONG for value in values]
            if wrong
            else values
        )
        # null does not name a category: such a record is checked, not skipped.
        of = {
            value: self.exported[0] if value is None else tables.get(value.strip().lower())
            for value in set(known)
        }
        places: dict[Table, list[int]] = {}
        for at, value in enumerate(known):
            if table := of[value]:
                places.setdefault(table, []).append(at)
        self.foreign += len(values) - len(wrong) - sum(map(len, places.values()))
        return list(places.items())

    def _add_shaped(
        self,
        shape: Shape,
        members: list[Record],
        inner: list[Any],
        where: Sequence[int],
        *,
        rest: bool = False,
    ) -> None:
        """Adds records of one shape; `rest`: they have keys beyond the shape."""
        if not members:
            return
        if shape.missing is not None:
            self._reject_shape(shape, shape.missing, where)
            return
        if len(self._seen) < _WAITING:
            self._seen.append(Seen(shape.table, shape.keys, shape.inner_keys))
        rows = self._rows(shape.table)
        rows.begin(shape, where)
        rest = rest or bool(shape.rest or shape.rest_inner)
        if shape.others:
            shapes.fill(shape, members, inner)
        for partition, places, more in ((members, shape.outer, rest), (inner, shape.inner, shape.rest_inner)):
            for column, key in places:
                rows.columns.extend(
                    column,
                    [each.pop(key) for each in partition] if more else [each[key] for each in partition],
                )
        if shape.rest_inner:
            for member, each in zip(members, inner, strict=True):
                member["properties"] = each
        if rest:
            self._restore(members, where)
            rows.columns.extend(rows.rest, dumped(members))
        rows.columns.end(len(members))

    def _reject_shape(self, shape: Shape, missing: int, where: Sequence[int]) -> None:
        """Rejects records that lack all keys of a required column."""
        paths = shapes.paths(shape.table, missing)
        message = f"expected {shape.table.input[missing].name} under one of {paths}, got none of them"
        self.origins.reject(Reason.MISSING_REQUIRED_FIELD, where, lambda _: (message, ""))
        if shape in self.lacking or len(self.lacking) < _LACKING:
            self.lacking[shape] = self.lacking.get(shape, 0) + len(where)

    def _restore(self, members: list[Record], where: Sequence[int]) -> None:
        """Reads additional properties again if their integers were too large."""
        for at in suspects(members):
            members[at] = self._rereader.restored(members[at], *self.origins.envelope(where[at]))
