"""Declares the JSON document that `status --json` prints."""

from typing import Literal

from shared.json_document import Document, Part
from shared.protocol.ledger import Counts


class Verdict(Part):
    """The result of the command."""

    status: Literal["well", "wrong", "unknown"]
    """`well`: exit status 0; `wrong`: 1; `unknown`: 2."""
    text: str
    """The result in a sentence."""


class LagStatus(Part):
    """The lag of a partition's commits behind the hub."""

    envelopes: int
    """Envelopes in the hub that are not committed."""
    records: int | None
    """Estimated records in these envelopes; null if nothing was committed in this partition."""
    seconds: float
    """Upper bound of the age of the oldest of these envelopes."""
    headroom: float | None
    """Seconds until the hub may delete the oldest envelope; null if EVENT_HUB_RETENTION is not set."""


class LedgerStatus(Part):
    """The ledger of a partition."""

    ledger_id: str
    ordinal: int
    """Number of writes."""
    committed_at: int
    """Time of the last commit (µs since 1970 UTC)."""
    incarnation: int
    """Number of the hub's current incarnation, from 0."""
    next: int
    """Sequence number that follows the last committed one."""
    newest: int
    """Arrival of the newest committed envelope (µs since 1970 UTC); -1 if there is none."""
    counts: Counts
    """Counts since the ledger began."""
    lost: int
    """Files that could not be published."""
    listed: int
    """Files of the last commit, which may be waiting to be published."""


class CheckpointStatus(Part):
    """The checkpoint of the Functions host."""

    sequence: int | None
    """Sequence number of the last event that the host has passed."""
    modified: int
    """When it was written (µs since 1970 UTC)."""


class PartitionStatus(Part):
    """One partition."""

    partition: str
    """Namespace, hub and partition id, with ~ for replayed dead letters."""
    replay: bool
    """Whether these are replayed dead letters."""
    gaps: int
    """Sequence numbers that never arrived."""
    alarms: list[str]
    """Problems that need an operator."""
    lag: LagStatus | None
    """null if it is unknown."""
    checkpoint: CheckpointStatus | None
    """null if there is none, or if it is unknown."""
    ledger: LedgerStatus | None
    """null if there is none, or if it cannot be read."""


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
    """Mean duration of these by arrival times; null if most connections have a duration."""
    capped: int
    """Connections that were written early because there were too many."""
    merged_until: int
    """Everything that arrived before this time is merged (µs since 1970 UTC); -1 if unknown."""


class ServiceStatus(Part):
    """One API Management service."""

    resource_id: str
    """`_ResourceId` of its records; empty if they have none."""
    last_record: int
    """Arrival of its last record (µs since 1970 UTC)."""
    records_last_day: int
    """Records that arrived in the last 24 full hours and the current one."""


class SwapStatus(Part):
    """An unfinished compaction swap."""

    folder: str
    output: str
    """The large file."""
    since: int
    """When it was committed (µs since 1970 UTC)."""
    inputs: int
    """Files that the large one replaces."""
    visible: bool
    """Whether the large file is visible. Until `left` is empty, readers see the rows of those files twice."""
    left: list[str]
    """Replaced files that are not deleted yet."""
    waits_for: str


CountsAs = Literal["opening", "closing", "opening and closing", "neither"]
"""What an event name counts as for a connection, according to the current settings."""


class NameStatus(Part):
    """An event name that occurred."""

    name: str
    """The event name; empty for records without EventName."""
    connections: int
    """Finished connections that have it."""
    first: int
    """Of these, those that begin with it."""
    last: int
    """Of these, those that end with it."""
    newest: int
    """When the last record of a connection with it arrived (µs since 1970 UTC); -1 if unknown."""
    counts_as: CountsAs


class KeyStatus(Part):
    """A key that most recent records of a table have and that belongs to no column."""

    table: str
    key: str
    """The key, in the form of the setting COLUMN_KEYS."""
    records: int
    """Estimated number of recent records that have it."""
    of: int
    """Number of recent records."""


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
    """The document of `status --json`."""

    verdict: Verdict
    partitions: list[PartitionStatus]
    unknown: list[str]
    """Unknown values, such as the lag, with the reason."""
    connections: ConnectionsStatus
    services: list[ServiceStatus]
    swap: SwapStatus | None
    """null if none is in progress."""
    names: list[NameStatus]
    keys: list[KeyStatus]
    matches: list[MatchStatus]
    """Empty if one of the tables of each view has no files of the last two days."""
    alarms: list[str]
    """All alarms, including those of partitions."""
