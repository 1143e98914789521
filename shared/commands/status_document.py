"""Declares the JSON document that `status --json` prints."""

from typing import Literal

from shared.commands.document import Document, Part
from shared.protocol.ledger import Counts


class Verdict(Part):
    """What the command found."""

    status: Literal["well", "wrong", "unknown"]
    """`well`: exit status 0; `wrong`: 1; `unknown`: 2."""
    text: str
    """The same in a sentence."""


class LagStatus(Part):
    """How far the commits of a partition are behind the hub."""

    envelopes: int
    """Envelopes in the hub that are not committed."""
    records: int | None
    """Records in them, estimated; null: nothing was committed of this partition."""
    seconds: float
    """Age of the oldest of them, at most."""
    headroom: float | None
    """Seconds until the hub may delete it; null: EVENT_HUB_RETENTION is not set."""


class LedgerStatus(Part):
    """What the ledger of a partition says."""

    ledger_id: str
    ordinal: int
    """Number of its writes."""
    committed_at: int
    """Time of the last commit (µs since 1970 UTC)."""
    incarnation: int
    """Number of the hub's current life, from 0."""
    next: int
    """Sequence number that follows the last committed one."""
    newest: int
    """Arrival of the newest committed envelope (µs since 1970 UTC); -1: none."""
    counts: Counts
    """What was counted since the ledger began."""
    lost: int
    """Files that could not be published."""
    listed: int
    """Files that the last commit lists, which may wait to be published."""


class CheckpointStatus(Part):
    """The checkpoint of the Functions host."""

    sequence: int | None
    """Sequence number of the last event that the host has passed."""
    modified: int
    """When it was written (µs since 1970 UTC)."""


class PartitionStatus(Part):
    """One partition."""

    partition: str
    """Namespace, hub and partition id; with ~ for replayed dead letters."""
    replay: bool
    """Whether these are replayed dead letters."""
    gaps: int
    """Sequence numbers that never arrived."""
    alarms: list[str]
    """What an operator should look at."""
    lag: LagStatus | None
    """null: unknown."""
    checkpoint: CheckpointStatus | None
    """null: there is none, or it is unknown."""
    ledger: LedgerStatus | None
    """null: there is none, or it cannot be read."""


class ConnectionsStatus(Part):
    """All connections."""

    open: int
    """Connections that are not finished, or have a revision to write."""
    finished: int
    revised: int
    """Rows that were written again after a late record."""
    without_duration: int
    """Finished connections whose duration is null."""
    estimated_seconds: float | None
    """Mean duration of these by arrival times; null: most connections have a duration."""
    capped: int
    """Connections that were written early because there were too many."""
    merged_until: int
    """Everything that arrived before is merged (µs since 1970 UTC); -1: unknown."""


class ServiceStatus(Part):
    """One API Management service."""

    resource_id: str
    """`_ResourceId` of its records; empty: they have none."""
    last_record: int
    """Arrival of its last record (µs since 1970 UTC)."""
    records_last_day: int
    """Records that arrived in the last 24 full hours and the current one."""


class SwapStatus(Part):
    """A swap of compaction that is not done."""

    folder: str
    output: str
    """The large file."""
    since: int
    """When it was decided (µs since 1970 UTC)."""
    inputs: int
    """Files that the large one replaces."""
    visible: bool
    """Whether the large file is visible. Until `left` is empty, readers see the rows of those files twice."""
    left: list[str]
    """Replaced files that are not deleted."""
    waits_for: str


class NameStatus(Part):
    """An event name that was seen."""

    name: str
    """Empty: records without EventName."""
    connections: int
    """Finished connections that have it."""
    first: int
    """Of these, those that begin with it."""
    last: int
    """Of these, those that end with it."""
    newest: int
    """When a connection that has it last had a record arrive (µs since 1970 UTC); -1: unknown."""
    counts_as: Literal["opening", "closing", "opening and closing", "neither"]


class KeyStatus(Part):
    """A key that most recent records of a table have, and that none of its columns takes."""

    table: str
    key: str
    """As in the setting COLUMN_KEYS."""
    records: int
    """Recent records that have it, estimated."""
    of: int
    """Recent records."""


class MatchStatus(Part):
    """How many connections of a sample have a row in the table that a view joins to them."""

    view: str
    table: str
    """The joined table."""
    hour: int
    """Start of the hour in which the connections of the sample ended (µs since 1970 UTC)."""
    connections: int
    """Connections in the sample."""
    matched: int
    """Of these, those with a row of the same _ResourceId and CorrelationId."""


class StatusDocument(Document):
    """What `status --json` prints."""

    verdict: Verdict
    partitions: list[PartitionStatus]
    unknown: list[str]
    """What is unknown, such as lag, and why."""
    connections: ConnectionsStatus
    services: list[ServiceStatus]
    swap: SwapStatus | None
    """null: none is under way."""
    names: list[NameStatus]
    keys: list[KeyStatus]
    matches: list[MatchStatus]
    """Empty: not both tables of a view have files of the last two days."""
    alarms: list[str]
    """All alarms, those of partitions too."""
