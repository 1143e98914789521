"""Declares the JSON document of each command with --json; the published schemas come from here."""

from datetime import datetime
from typing import Literal

from shared.audit.evidence import Level
from shared.commands.document import Document, Part
from shared.commands.status_document import StatusDocument
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
    """Files that were found."""
    rows: int
    """Rows in them."""
    counts: Counts
    """What its ledger counts."""
    findings: list[AuditFinding]


class AuditDocument(Document):
    """What `audit --json` prints."""

    verdict: Proof
    not_read: list[str]
    """What the audit did not look at, so that its verdict does not cover it."""
    staged: int
    """Files that were staged by attempts that failed."""
    partitions: list[AuditPartition]


class ReplayDocument(Document):
    """What `replay --json` prints."""

    dry_run: bool
    letters: int
    """Dead letters that were chosen."""
    before: int
    """Of these, those that were replayed before."""
    fit: int
    """Of these, those of which something fits now."""
    rows: int
    """Rows in those that fit."""
    skipped: int
    """Records in those that belong to another category."""
    stay: int
    """Dead letters of which nothing fits."""
    reasons: dict[str, int]
    """Records that are still rejected, by reason."""
    commits: int
    from_redacted: int
    """Of those that fit, the ones whose text has markers in place of credentials."""
    no_body: int
    """Dead letters that cannot be replayed, because only length and SHA-256 of their bodies were kept."""
    no_columns: int
    """Dead letters that cannot be replayed, because values of hashed or dropped columns were removed."""
    damaged: list[str]
    """Files that could not be read."""


class RedeliverPartition(Part):
    """One partition."""

    partition: str
    missing: int
    """Sequence numbers that the output lacks."""
    gone: int
    """Of these, those that the hub has deleted."""
    present: int
    """Those that the output has by commits that the ledger does not know; they are recorded there."""
    partial: int
    """Those of which the output has some files only, by commits that the ledger does not know."""
    without_files: int
    """Committed events of which at least one file of their commit is gone."""
    events: int
    """Events that were read from the hub; with --dry-run, those that can be read."""
    commits: int
    rows: int
    rejected: dict[str, int]
    """Rejected records by reason."""
    problems: list[str]


class RedeliverDocument(Document):
    """What `redeliver --json` prints."""

    dry_run: bool
    partitions: list[RedeliverPartition]


class ConvertDocument(Document):
    """What `convert --json` prints."""

    files: int
    """Files that were read."""
    records: int
    rows: int
    skipped: int
    """Records of other categories."""
    rejected: dict[str, int]
    """Rejected records by reason."""
    connections: int


class BackfillDocument(Document):
    """What `backfill --json` prints; times in µs since 1970 UTC."""

    dry_run: bool
    boundary: int
    """Hours that ended at this time or before are taken."""
    blobs: int
    """Blobs that were exported, or would be."""
    bytes: int
    """Of these."""
    first: int | None
    """When the first of their hours began."""
    last: int | None
    """When the last of their hours ended."""
    before: int
    """Blobs that an earlier run exported."""
    overlapping: int
    """Blobs of the hour in which the live output begins, or later."""
    at_boundary: list[str]
    """Those of that hour."""
    open: int
    """Blobs of hours that may still grow."""
    not_chosen: int
    """Blobs outside of --since and --until."""
    others: int
    """Blobs that are no hours of an archive."""
    grown: list[str]
    """Blobs that have another size than when they were exported."""
    records: int
    rows: int
    skipped: int
    """Records of other categories."""
    rejected: dict[str, int]
    """Rejected records by reason."""
    connections: int
    """Connections that were finished."""
    alarms: list[str]


class CostPrice(Part):
    """A price."""

    price: float
    """In US dollars."""
    per: float
    """For so many units."""
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
    """What `cost --json` prints."""

    lines: list[CostLine]
    total: float
    """US dollars a month."""
    others: dict[str, float]
    """What Azure's own ways cost for the same records, in US dollars a month."""


class ReconcileMinute(Part):
    """A minute whose counts differ."""

    at: datetime
    export: int
    container: int


class ReconcileRecord(Part):
    """A record that one side lacks."""

    values: list[str | None]
    """In the order of `columns`, redacted."""
    times: int
    """How often."""


class ReconcileDocument(Document):
    """What `reconcile --json` prints."""

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
    """Connection attempts by Azure's metric, if a file of it was given."""


DOCUMENTS: dict[str, type[Document]] = {
    "status": StatusDocument,
    "audit": AuditDocument,
    "reconcile": ReconcileDocument,
    "replay": ReplayDocument,
    "redeliver": RedeliverDocument,
    "convert": ConvertDocument,
    "backfill": BackfillDocument,
    "cost": CostDocument,
}
"""By command."""


def schema(command: str) -> dict[str, object]:
    """The JSON Schema (draft 2020-12) of the document of a command."""
    found = DOCUMENTS[command].model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}
