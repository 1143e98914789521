"""Turns envelopes into rows of the exported tables, and gives a reason for every rejected record."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from shared.input import memory_bounds
from shared.input.bodies import records
from shared.input.column_checks import checked
from shared.input.envelope import Envelope
from shared.input.extraction import Rows
from shared.input.gzip_bodies import GZIP, inflate
from shared.input.hub_partition import HubPartition
from shared.input.key_counts import KeyCounts, keys_of
from shared.input.rejections import Rejected, Unreadable
from shared.intervals import Interval
from shared.policies import ExportPolicy
from shared.tables.registry import of_categories
from shared.tables.table import Table

_RECORDS = 1 << 14
"""Maximum number of records that wait for their checks, in addition to one group; this bounds memory."""
_TOGETHER = 1 << 14
"""A group of envelopes ends after this many bytes of bodies."""


@dataclass(frozen=True, slots=True)
class Validated:
    """The result of validating the first envelopes; records = rows + rejected records + skipped."""

    taken: int
    """The number of envelopes that the result covers, counted from the first one."""
    tables: Mapping[str, pa.Table]
    """The rows by name of the table, in order of envelopes and records; derived columns are null."""
    rejected: tuple[Rejected, ...]
    """The rejections, in order of envelopes."""
    records: int
    """The number of all records; an unreadable envelope counts as one."""
    skipped: int
    """Records of other categories and tables."""
    keys: Mapping[str, KeyCounts] = field(default_factory=dict)
    """By name of the table, the keys of its records that belong to no column."""

    @property
    def rows(self) -> int:
        """The number of rows in all tables."""
        return sum(table.num_rows for table in self.tables.values())

    @property
    def table(self) -> pa.Table:
        """The rows, if only one table is exported."""
        (table,) = self.tables.values()
        return table


def validate(partition: HubPartition, envelopes: Sequence[Envelope], policy: ExportPolicy) -> Validated:
    """Reads envelopes in order, at least one, up to `policy.commit_bytes` of inflated bodies."""
    limit = memory_bounds.PARSED * policy.max_inflated
    exported = of_categories(policy.categories, policy.column_keys)
    batch = _Batch(partition, policy, limit, exported, Rows(limit, exported))
    for group in _grouped(envelopes, policy):
        batch.read(group)
        del group  # frees its memory before the next body is inflated
    return batch.validated()


@dataclass(slots=True)
class _Group:
    """Envelopes that are read together."""

    envelopes: list[Envelope]
    texts: list[bytes]
    """Their inflated bodies; empty if a body cannot be inflated."""
    problems: dict[int, str]
    """Why some envelopes are unreadable, by position."""

    def read(self, at: int, limit: int, tables: tuple[Table, ...]) -> list[object]:
        """Returns the records of an envelope; if it is unreadable, records the reason and returns none."""
        try:
            return [] if at in self.problems else records(self.texts[at], limit, tables)
        except Unreadable as error:
            self.problems[at] = str(error)
            return []


def _grouped(envelopes: Sequence[Envelope], policy: ExportPolicy) -> Iterator[_Group]:
    """Yields groups of the first envelopes, as many as one commit can hold."""
    chosen: list[Envelope] = []
    texts: list[bytes] = []
    problems: dict[int, str] = {}
    size = held = 0
    for taken, envelope in enumerate(envelopes):
        text, problem = envelope.body, ""
        if envelope.amqp:
            problem = (
                f"expected binary data, got an AMQP {envelope.amqp}, which the Functions host cannot read; "
                "this body is the decoded value, with properties and annotations"
            )
        elif text[:2] == GZIP:
            try:
                text = inflate(text, policy.max_inflated)
            except Unreadable as error:
                problem = str(error)
        size += len(text)
        if taken and size > policy.commit_bytes:
            break
        if problem:
            problems[len(texts)], text = problem, b""
        chosen.append(envelope)
        texts.append(text)
        held += len(text)
        if held >= _TOGETHER:
            text = b""
            yield _Group(chosen, texts, problems)
            chosen, texts, problems, held = [], [], {}, 0
    text = b""
    yield _Group(chosen, texts, problems)


@dataclass(slots=True)
class _Batch:
    """The envelopes so far: tables of rows that passed, and rows that wait to be checked."""

    partition: HubPartition
    policy: ExportPolicy
    limit: int
    """Bytes of memory that the records of one body may take."""
    exported: tuple[Table, ...]
    rows: Rows
    tables: dict[str, list[pa.Table]] = field(default_factory=dict)
    rejected: list[Rejected] = field(default_factory=list)
    keys: dict[str, KeyCounts] = field(default_factory=dict)
    taken: int = 0
    records: int = 0
    skipped: int = 0

    def read(self, group: _Group) -> None:
        """Adds envelopes: their records, or the problems that make them unreadable."""
        found = [
            group.read(at, self.limit, self.exported) if each is None else each
            for at, each in enumerate(self.rows.read(group.texts))
        ]
        group.texts.clear()  # frees large texts before their records are split
        excluded = sum(
            [
                _exclude(each, envelope.only)
                for envelope, each in zip(group.envelopes, found, strict=True)
                if envelope.only
            ]
        )
        self.taken += len(found)
        self.records += sum(map(len, found)) + len(group.problems) - excluded
        self.skipped -= excluded
        self.rows.add(group.envelopes, found, group.problems)
        if self.rows.origins.records >= _RECORDS:
            self.check()

    def check(self) -> None:
        """Checks the waiting rows and turns them into tables."""
        self.rows.take()
        for name, rows in self.rows.tables.items():
            keys = self.keys.setdefault(name, KeyCounts())
            table = checked(self.partition, rows, self.rows.origins, self.policy, keys)
            self.tables.setdefault(name, []).append(table)
        for shape, number in self.rows.lacking.items():
            keys = self.keys.setdefault(shape.table.name, KeyCounts())
            keys.add(number, keys_of(shape.rest, shape.rest_inner))
        self.rejected += self.rows.origins.rejected()
        self.skipped += self.rows.foreign
        self.rows = Rows(self.limit, self.exported)

    def validated(self) -> Validated:
        """Returns the result for all envelopes."""
        self.check()
        tables = {
            table.name: pa.concat_tables(self.tables.get(table.name) or [table.arrow.empty_table()])
            for table in self.exported
        }
        return Validated(self.taken, tables, tuple(self.rejected), self.records, self.skipped, self.keys)


def _exclude(found: list[object], only: Sequence[Interval]) -> int:
    """Marks all other records as foreign, in place, so that indexes stay; returns how many it marked."""
    wanted = {index for first, last in only for index in range(first, min(last + 1, len(found)))}
    for index in range(len(found)):
        if index not in wanted:
            found[index] = {"category": ""}
    return len(found) - len(wanted)
