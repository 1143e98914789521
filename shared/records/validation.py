"""Turns envelopes into rows of the exported table, and says of every record that becomes none why."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from shared.envelope import GZIP, Envelope, Rejected, Source, Unreadable, inflate, records
from shared.intervals import Interval
from shared.records.checks import checked
from shared.records.extraction import Rows
from shared.rules import Rules
from shared.schema import RECORDS

_RECORDS = 1 << 14
"""So many records wait for their checks at most, and those of one envelope: this bounds memory."""


@dataclass(frozen=True, slots=True)
class Validated:
    """What became of the first envelopes; records = table.num_rows + rejected records + skipped."""

    taken: int
    """How many of the envelopes, from the first, this covers."""
    table: pa.Table
    """Of RECORDS, in order of envelopes and records; the derived columns are null."""
    rejected: tuple[Rejected, ...]
    """In order of envelopes."""
    records: int
    """All that were seen; an unreadable envelope counts as one."""
    skipped: int
    """Records of other categories and tables."""


def validate(source: Source, envelopes: Sequence[Envelope], rules: Rules) -> Validated:
    """Reads envelopes in order, as many as `rules.commit_bytes` of inflated bodies hold, and one at least."""
    batch = _Batch(source, rules)
    size = taken = 0
    for envelope in envelopes:
        text, problem = envelope.body, ""
        if text.startswith(GZIP):
            try:
                text = inflate(text, rules.max_inflated)
            except Unreadable as error:
                problem = str(error)
        size += len(text)
        if taken and size > rules.commit_bytes:
            break
        batch.read(envelope, text, problem)
        taken += 1
    return batch.validated(taken)


@dataclass(slots=True)
class _Batch:
    """The envelopes so far: tables of rows that passed, and rows that wait for their checks."""

    source: Source
    rules: Rules
    rows: Rows = field(default_factory=Rows)
    tables: list[pa.Table] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    records: int = 0
    skipped: int = 0

    def read(self, envelope: Envelope, text: bytes, problem: str) -> None:
        """Takes an envelope's records, or the problem that makes it unreadable."""
        found = None if problem or envelope.only else self.rows.read(text)
        if found is None and not problem:
            try:
                found = records(text)
            except Unreadable as error:
                problem = str(error)
        if found is None:
            self.rows.origins.refuse(envelope, problem)
            self.records += 1
            return
        self.records += len(found)
        if envelope.only:
            excluded = _exclude(found, envelope.only)
            self.records -= excluded
            self.skipped -= excluded
        self.rows.add(envelope, found)
        if self.rows.origins.records >= _RECORDS:
            del found
            self.check()

    def check(self) -> None:
        """Makes a table of the rows that wait."""
        self.rows.take()
        if self.rows.runs:
            self.tables.append(checked(self.source, self.rows, self.rules))
        self.rejected += self.rows.origins.rejected()
        self.skipped += self.rows.foreign
        self.rows = Rows()

    def validated(self, taken: int) -> Validated:
        """What has become of all of them."""
        self.check()
        table = pa.concat_tables(self.tables or [RECORDS.arrow.empty_table()])
        return Validated(taken, table, tuple(self.rejected), self.records, self.skipped)


def _exclude(found: list[object], only: Sequence[Interval]) -> int:
    """Makes all but these records foreign, in place: the others keep their index; how many it made so."""
    wanted = {index for first, last in only for index in range(first, min(last + 1, len(found)))}
    for index in range(len(found)):
        if index not in wanted:
            found[index] = {"category": ""}
    return len(found) - len(wanted)
