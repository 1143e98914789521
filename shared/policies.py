"""The parameters that govern validation and export, built from settings or by a test. Pure data."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from shared.tables.column_keys import ColumnKeys

Compression = Literal["snappy", "gzip", "zstd"]
"""Codecs of Parquet files."""
Redaction = Literal["credentials", "queries", "off"]
"""What is replaced in texts: credentials, credentials and all values of query strings, or nothing."""
DeadLetterBodies = Literal["raw", "redacted"]
"""What dead letters keep of a message: its bytes, or its redacted text."""
MiB = 1 << 20


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach an Azure service: a connection string, or an address and an identity."""

    string: str | None = None
    address: str | None = None
    """Fully qualified namespace (Event Hubs) or service URI (Blob Storage)."""
    client_id: str | None = None
    """Client id of the user-assigned identity; None for the system-assigned one or your own sign-in."""


@dataclass(frozen=True, slots=True)
class StorageTimeouts:
    """How long calls to Blob Storage may take, in seconds."""

    attempt: float = 15
    """How long an attempt waits for a connection, and then for each part of the response."""
    call: float = 45
    """Maximum duration of a call, including all attempts, the waits between them, and data transfer."""
    backoff: float = 0.5
    """Mean wait before the second attempt. It doubles for each further one; each wait varies by up to 50%."""


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """The limits of planning in a child process."""

    cpu: int = 30
    """Maximum CPU seconds for a batch or for one message."""
    wall: float = 50
    """Maximum seconds in total for one message."""
    batch: float = 30
    """Maximum seconds in total for a batch, so that a run has time left to find the message that fails."""
    memory: int = 1 << 30
    """Maximum bytes of memory in addition to those that the process uses after all imports."""


@dataclass(frozen=True, slots=True)
class RedactionPolicy:
    """What is removed from rows before anything is written."""

    level: Redaction = "credentials"
    hash_columns: tuple[str, ...] = ()
    """Text columns whose values are replaced by a keyed hash."""
    hash_key: bytes = field(default=b"", repr=False)
    drop_columns: tuple[str, ...] = ()
    """Text columns that are left empty."""
    bodies: DeadLetterBodies = "raw"


@dataclass(frozen=True, slots=True)
class ExportPolicy:
    """The settings that decide what is exported; `plan_commit` uses them."""

    categories: tuple[str, ...] = ("WebSocketConnectionLogs",)
    """The exported categories; each has its own table."""
    formats: tuple[str, ...] = ("parquet",)
    compression: Compression = "snappy"
    max_age: timedelta = timedelta(days=7)
    max_lead: timedelta = timedelta(hours=1)
    max_inflated: int = 64 * MiB
    commit_bytes: int = 32 * MiB
    grace: timedelta = timedelta(minutes=15)
    column_keys: ColumnKeys = ()
    """Additional keys for columns, tried after those that the tables declare."""
    redaction: RedactionPolicy = RedactionPolicy()


@dataclass(frozen=True, slots=True)
class FinishPolicy:
    """The settings that decide when connections are finished."""

    formats: tuple[str, ...] = ("parquet",)
    compression: Compression = "snappy"
    opening: tuple[str, ...] = ("ConnectionOpened",)
    closing: tuple[str, ...] = ("ConnectionClosed", "ConnectionFailed", "ConnectionAborted")
    grace: timedelta = timedelta(minutes=15)
    idle: timedelta = timedelta(hours=24)
    quiet: timedelta = timedelta(minutes=60)
    late: timedelta = timedelta(hours=6)
    cap: int = 3_000_000
    """Maximum number of connections that are kept, so that invented ids cannot fill the storage."""
    retention: timedelta = timedelta(0)
    """How long the hub keeps envelopes; 0 if unknown."""


@dataclass(frozen=True, slots=True)
class CompactionPolicy:
    """The settings that decide which files are merged."""

    enabled: bool = True
    categories: tuple[str, ...] = ("WebSocketConnectionLogs",)
    """The exported categories: their tables, and that of connections, are compacted."""
    compression: Compression = "snappy"
    quiet: timedelta = timedelta(hours=1)
    target: int = 128 * MiB
    reach: timedelta = timedelta(days=9)
    """Maximum age of a record when it is committed."""
    delta: bool = False
    """Whether to create the Delta log of a table that has none."""
    keep: timedelta = timedelta(0)
    """How long a file stays in its folder after compaction replaced it, for readers of older snapshots."""
    retention: timedelta = timedelta(0)
    """The age at which lifecycle rules delete Parquet files; 0 if they delete none."""
