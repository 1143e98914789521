"""Every setting, declared once: name, type, default, meaning. Other modules do not read the environment."""

from datetime import timedelta

from pydantic import Field, ValidationError, model_validator

from shared.errors import SettingError
from shared.policies import (
    CompactionPolicy,
    Compression,
    DeadLetterBodies,
    ExportPolicy,
    FinishPolicy,
    MiB,
    Redaction,
    RedactionPolicy,
)
from shared.settings.contradictions import contradictions
from shared.settings.explanations import explain
from shared.settings.services import ServiceSettings
from shared.settings.value_types import Categories, Columns, Duration, MoreKeys, Names, OutputFormats, Span


class Settings(ServiceSettings):
    """The application settings of the function app. Lists are comma-separated."""

    OUTPUT_CONTAINER: str = Field("websocket-logs", description="Container for the exported files.")
    STATE_CONTAINER: str = Field(
        "websocket-logs-state",
        description="Container for the ledgers. It must have no lifecycle rules, versioning or soft delete.",
    )
    DEAD_LETTER_CONTAINER: str = Field(
        "websocket-logs-dead-letters", description="Container for dead letters, in the output account."
    )
    EXPORT_CATEGORIES: Categories = Field(
        ("WebSocketConnectionLogs",),
        min_length=1,
        description="Categories of log records that are exported, each to a separate table.",
    )
    COLUMN_KEYS: MoreKeys = Field(
        (),
        description="Additional keys for columns, tried after the known ones: `EventName=properties.event|operation;TimeGenerated=timeStamp`. `Table.Column` limits a key to one table.",
    )
    OUTPUT_FORMATS: OutputFormats = Field(
        ("parquet",), min_length=1, description="`parquet`, `json`, or both."
    )
    PARQUET_COMPRESSION: Compression = Field(
        "snappy",
        description="`snappy`, which every reader supports; `gzip` or `zstd`, whose files are a third smaller.",
    )

    REDACT: Redaction = Field(
        "credentials",
        description="Parts of texts that are replaced with a marker before they are written: `credentials`, `queries` (also all values of query strings) or `off`.",
    )
    HASH_COLUMNS: Columns = Field(
        (), description="Text columns whose values are replaced with a keyed hash (HMAC-SHA256, 32 digits)."
    )
    HASH_KEY: str = Field(
        "", description="Key of the hash, at least 16 characters. It can be a Key Vault reference."
    )
    DROP_COLUMNS: Columns = Field((), description="Text columns that are left empty.")
    DEAD_LETTER_BODIES: DeadLetterBodies = Field(
        "raw",
        description="What dead letters keep of a message: `raw`, the original bytes, or `redacted`, its text after REDACT, HASH_COLUMNS and DROP_COLUMNS (if it is not text: its length and SHA-256).",
    )

    RECORD_MAX_AGE: Span = Field(
        timedelta(days=7),
        le=timedelta(days=31),
        description="Maximum age of a record when it arrives at the hub (at most 31 days). Older records are rejected.",
    )
    RECORD_MAX_LEAD: Span = Field(
        timedelta(hours=1),
        description="How far a record's time may be in the future when it arrives at the hub. Later records are rejected.",
    )
    ENVELOPE_MAX_INFLATED: int = Field(
        64 * MiB,
        ge=MiB,
        le=64 * MiB,
        description="Maximum size of a message body after decompression, in bytes.",
    )
    COMMIT_BYTES: int = Field(
        32 * MiB,
        ge=MiB,
        le=64 * MiB,
        description="Maximum total size of the message bodies in one commit after decompression, in bytes. A single larger body is committed by itself.",
    )
    MEMORY_BUDGET: int = Field(
        64 * MiB,
        ge=MiB,
        description="Maximum total size of the message bodies that all commits of a process work on at the same time, in bytes.",
    )

    WS_OPENING_EVENTS: Names = Field(
        (
            *("ConnectionOpened", "ConnectionEstablished", "ConnectionStarted", "Connected"),
            *("Opened", "Open", "Handshake"),
        ),
        description="Event names that open a connection (case-insensitive).",
    )
    WS_CLOSING_EVENTS: Names = Field(
        (
            *("ConnectionClosed", "ConnectionTerminated", "ConnectionEnded", "ConnectionFailed"),
            *("ConnectionAborted", "Disconnected", "Closed", "Close", "Terminated", "Failed", "Aborted"),
        ),
        description="Event names that close a connection (case-insensitive).",
    )
    WS_GRACE: Span = Field(
        timedelta(minutes=15),
        description="How long to wait for late records after a closing event before the connection is finished.",
    )
    WS_IDLE_TIMEOUT: Span = Field(
        timedelta(hours=24),
        description="How long a connection without a closing event may be silent before it is finished as `timed_out`.",
    )
    WS_QUIET_TIMEOUT: Span = Field(
        timedelta(minutes=60),
        description="How long a connection may be silent before it is finished as `quiet`, while no connection has had a closing event for a day.",
    )
    WS_LATE_WINDOW: Span = Field(
        timedelta(hours=6),
        description="How long after a connection is finished a late record still revises its row.",
    )
    WS_LOOKUP_STALENESS: Duration = Field(
        timedelta(seconds=5),
        ge=timedelta(0),
        description="How stale the cached progress of other partitions may be.",
    )

    COMPACT_ENABLED: bool = Field(
        True,  # noqa: FBT003 - a default
        description="Whether to merge the small Parquet files of an hour into large ones.",
    )
    COMPACT_QUIET: Duration = Field(
        timedelta(hours=1),
        ge=timedelta(minutes=15),
        description="Minimum time since the last commit to an hour before the hour is compacted (at least 15 minutes).",
    )
    COMPACT_TARGET: int = Field(
        128 * MiB,
        ge=MiB,
        le=256 * MiB,
        description="Maximum total size of the files merged in one compaction, in bytes. Files larger than half of it are left alone.",
    )

    DELTA_LOG: bool = Field(
        False,  # noqa: FBT003 - a default
        description="Whether to create a Delta log (`_delta_log`) for each table. An existing log is kept up to date regardless of this setting.",
    )
    COMPACT_KEEP: Duration = Field(
        timedelta(0),
        ge=timedelta(0),
        le=timedelta(days=30),
        description="How long a file stays in its folder after compaction replaced it, for readers of older Delta snapshots (at most 30 days). During that time, readers of the folders see its rows twice, so it requires `DELTA_LOG`.",
    )
    PARQUET_RETENTION: Duration = Field(
        timedelta(0),
        ge=timedelta(0),
        description="Age at which the lifecycle rules of the output account delete Parquet files, so that the Delta log drops them a day earlier; 0 if no rule deletes them.",
    )

    APPLICATIONINSIGHTS_CONNECTION_STRING: str = Field(
        "", description="Application Insights to send metrics and logs to."
    )
    OTEL_EXPORTER_OTLP_ENDPOINT: str = Field(
        "", description="OTLP endpoint (HTTP with Protobuf) to send metrics and logs to."
    )
    OTEL_METRICS_EXPORTER: str = Field(
        "", description="Set to `console` to print metrics as well, for debugging."
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Settings":
        problems = list(contradictions(dict(self), self._services()))
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _services(self) -> tuple[tuple[str, str], ...]:
        """Returns the services that must be reachable: a setting, and the suffix of its address setting."""
        return ("EventHubConnection", "fullyQualifiedNamespace"), ("OutputStorage", "blobServiceUri")

    @property
    def export_policy(self) -> ExportPolicy:
        """Returns the policy for validation and export."""
        return ExportPolicy(
            categories=self.EXPORT_CATEGORIES,
            formats=self.OUTPUT_FORMATS,
            compression=self.PARQUET_COMPRESSION,
            max_age=self.RECORD_MAX_AGE,
            max_lead=self.RECORD_MAX_LEAD,
            max_inflated=self.ENVELOPE_MAX_INFLATED,
            commit_bytes=self.COMMIT_BYTES,
            grace=self.WS_GRACE,
            column_keys=self.COLUMN_KEYS,
            redaction=RedactionPolicy(
                self.REDACT,
                self.HASH_COLUMNS,
                self.HASH_KEY.encode(),
                self.DROP_COLUMNS,
                self.DEAD_LETTER_BODIES,
            ),
        )

    @property
    def finish_policy(self) -> FinishPolicy:
        """Returns the policy for finishing connections."""
        return FinishPolicy(
            formats=self.OUTPUT_FORMATS,
            compression=self.PARQUET_COMPRESSION,
            opening=self.WS_OPENING_EVENTS,
            closing=self.WS_CLOSING_EVENTS,
            grace=self.WS_GRACE,
            idle=self.WS_IDLE_TIMEOUT,
            quiet=self.WS_QUIET_TIMEOUT,
            late=self.WS_LATE_WINDOW,
            retention=self.EVENT_HUB_RETENTION,
        )

    @property
    def compaction_policy(self) -> CompactionPolicy:
        """Returns the policy for compaction."""
        return CompactionPolicy(
            enabled=self.COMPACT_ENABLED,
            categories=self.EXPORT_CATEGORIES,
            compression=self.PARQUET_COMPRESSION,
            quiet=self.COMPACT_QUIET,
            target=self.COMPACT_TARGET,
            reach=self.RECORD_MAX_AGE + self.EVENT_HUB_RETENTION + self.WS_IDLE_TIMEOUT,
            delta=self.DELTA_LOG and "parquet" in self.OUTPUT_FORMATS,
            keep=self.COMPACT_KEEP,
            retention=self.PARQUET_RETENTION,
        )


SECRETS = {
    *("EventHubConnection", "OutputStorage", "StateStorage", "AzureWebJobsStorage", "HASH_KEY"),
    *("APPLICATIONINSIGHTS_CONNECTION_STRING", "OTEL_EXPORTER_OTLP_ENDPOINT"),
}
"""Settings whose values are never shown."""


def load() -> Settings:
    """Loads the settings from the environment. Raises SettingError, which names every wrong setting."""
    return load_as(Settings)


def load_as[S: Settings](kind: type[S]) -> S:
    """Loads settings of this class from the environment. Raises SettingError, which names every wrong setting."""
    try:
        return kind()
    except ValidationError as error:
        problems = {problem["loc"][:1]: problem for problem in error.errors(include_url=False)[::-1]}
        messages = [explain(problem, Settings.model_fields, SECRETS) for problem in problems.values()]
        raise SettingError("\n".join(reversed(messages))) from None
