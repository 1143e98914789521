"""Declares the JSON document of each command; the published schemas are generated from it."""

from collections import Counter
from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field

from shared.audit.evidence import Level
from shared.backfill.outcome import BackfillDocument
from shared.commands.status_document import StatusDocument
from shared.convert.outcome import ConvertDocument
from shared.erasure.remains import Place
from shared.json_document import Document, Part
from shared.protocol.ledger import Counts


class AuditFinding(Part):
    """One finding."""

    level: Level
    code: str
    message: str


type Proof = Literal["proven", "refuted", "undecided"]


class AuditPartition(Part):
    """One partition, or files that belong to none."""

    partition: str
    verdict: Proof
    files: int
    """Number of files found."""
    rows: int
    """Number of rows in them."""
    counts: Counts
    """The counts in its ledger."""
    findings: list[AuditFinding]


class AuditDocument(Document):
    """The document of `audit --json`."""

    verdict: Proof
    not_read: list[str]
    """Parts that the audit did not examine and its verdict does not cover."""
    staged: int
    """Files that failed attempts staged."""
    partitions: list[AuditPartition]


class ReplayDocument(Document):
    """The document of `replay --json`."""

    model_config = ConfigDict(frozen=False)

    dry_run: bool
    letters: int = 0
    """Chosen dead letters."""
    before: int = 0
    """Of these, those that were replayed before."""
    fit: int = 0
    """Of the others, those with at least one record that now passes."""
    rows: int = 0
    """Rows from the dead letters that pass."""
    skipped: int = 0
    """Records in these dead letters that belong to another category."""
    stay: int = 0
    """Dead letters of which no record passes."""
    reasons: Counter[str] = Field(default_factory=Counter)
    """Records that are still rejected, by reason."""
    commits: int = 0
    from_redacted: int = 0
    """Of the dead letters that pass, those whose text has markers in place of credentials."""
    no_body: int = 0
    """Dead letters that cannot be replayed: they were erased, or only length and SHA-256 were kept."""
    no_columns: int = 0
    """Dead letters that cannot be replayed, because values of hashed or dropped columns were removed."""
    damaged: list[str] = Field(default_factory=list)
    """Files that could not be read."""


class RedeliverPartition(Part):
    """One partition."""

    model_config = ConfigDict(frozen=False)

    partition: str
    missing: int = 0
    """Sequence numbers that the output lacks."""
    gone: int = 0
    """Of these, those that the hub has deleted."""
    present: int = 0
    """Sequence numbers in the output whose commits the ledger lacks; they are recorded in the ledger."""
    partial: int = 0
    """Sequence numbers with only some of their files in the output, whose commits the ledger lacks."""
    without_files: int = 0
    """Committed events whose commit lacks at least one file."""
    events: int = 0
    """Events that were read from the hub; with --dry-run, those that can be read."""
    commits: int = 0
    rows: int = 0
    rejected: Counter[str] = Field(default_factory=Counter)
    """Rejected records by reason."""
    problems: list[str] = Field(default_factory=list)


class RedeliverDocument(Document):
    """The document of `redeliver --json`."""

    dry_run: bool
    partitions: list[RedeliverPartition]


class EraseRemains(Part):
    """A place that `erase` leaves alone, and that may still hold the values."""

    place: Place
    until: int | None
    """When the values disappear from it; null if nothing deletes them, or if this is unknown."""
    text: str
    """The same as a sentence."""


class EraseDocument(Document):
    """The document of `erase --json`; times in µs since 1970 UTC. It does not contain the values."""

    dry_run: bool
    erased: bool
    """Whether rows were erased: false with --dry-run, and if nothing matched."""
    column: str
    hashes: bool
    """Whether hashes of the values were searched for, too."""
    since: int | None
    """Only rows of this time or later; null: all."""
    rows: dict[str, int]
    """Rows by format and table, and dead letters (`_dead_letters`), that match; those erased, if `erased`."""
    files: dict[str, int]
    """The number of files that hold them."""
    connections: int
    """Rows of the state table that match; those erased, if `erased`."""
    left: dict[str, str]
    """Matching files that cannot be replaced now, each with the reason."""
    run_again: int | None
    """When the files that are too recent can be replaced; null if there are none."""
    waiting: int
    """Observations of matching records that the timer has not merged yet."""
    problems: list[str]
    """Sentences about everything that is left; empty if nothing is."""
    remains: list[EraseRemains]


class CostPrice(Part):
    """A price."""

    price: float
    """The price in US dollars."""
    per: float
    """Number of units for this price."""
    unit: str
    source: str


class CostLine(Part):
    """A line of the bill."""

    name: str
    formula: str
    """The amount, in the symbols of docs/sizing.md."""
    amount: float
    price: CostPrice
    cost: float
    """US dollars a month."""


class CostDocument(Document):
    """The document of `cost --json`."""

    lines: list[CostLine]
    total: float
    """US dollars a month."""
    others: dict[str, float]
    """Cost of Azure's built-in destinations for the same records, in US dollars a month."""


class ReconcileMinute(Part):
    """A minute whose counts differ."""

    at: datetime
    export: int
    container: int


class ReconcileRecord(Part):
    """A record that one side lacks."""

    values: list[str | None]
    """Its values in the order of `columns`, redacted."""
    times: int
    """How often it is missing or extra."""


class ReconcileDocument(Document):
    """The document of `reconcile --json`."""

    same: bool
    table: str
    since: datetime
    until: datetime
    export: int
    """Rows of the export in this range."""
    container: int
    """Rows of the container in this range."""
    columns: list[str]
    """Columns by which records were compared."""
    left_out: dict[str, str]
    """Columns that were not compared, with the reason."""
    minutes: list[ReconcileMinute]
    """Minutes whose counts differ."""
    missing: list[ReconcileRecord]
    """Records of the export that the container lacks."""
    extra: list[ReconcileRecord]
    """Records of the container that the export lacks."""
    suspects: dict[str, int]
    """By column, how many records would match if it were left out."""
    attempts: int | None
    """Connection attempts according to Azure's metric, if --metric is given."""


DOCUMENTS: dict[str, type[Document]] = {
    "status": StatusDocument,
    "audit": AuditDocument,
    "reconcile": ReconcileDocument,
    "replay": ReplayDocument,
    "redeliver": RedeliverDocument,
    "erase": EraseDocument,
    "convert": ConvertDocument,
    "backfill": BackfillDocument,
    "cost": CostDocument,
}
"""The document of each command, by name of the command."""


def schema(command: str) -> dict[str, object]:
    """Returns the JSON Schema (draft 2020-12) of a command's document."""
    found = DOCUMENTS[command].model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}
