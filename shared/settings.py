"""Every setting, declared once: name, type, default, meaning. The only module that reads the environment."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.errors import SettingError
from shared.rules import Compacting, Compression, Connection, Finishing, Format, MiB, Rules

Names = Annotated[tuple[str, ...], NoDecode]
Span = Annotated[timedelta, Field(gt=timedelta(0))]


class Settings(BaseSettings):
    """The application settings of the function app; times as HH:MM:SS or ISO 8601, lists comma-separated."""

    model_config = SettingsConfigDict(
        case_sensitive=False, frozen=True, extra="ignore", env_ignore_empty=True
    )

    EventHubConnection: str = Field(
        "", description="Connection string of the Event Hubs namespace; or set the next one."
    )
    EventHubConnection__fullyQualifiedNamespace: str = Field(
        "",
        pattern=r"^[A-Za-z0-9.-]*$",
        description="Host name of the namespace, reached with a managed identity.",
    )
    EventHubConnection__clientId: str = Field(
        "", description="Client id of the user-assigned identity for the hub."
    )
    EVENT_HUB_NAME: str = Field(
        min_length=1, description="The Event Hub that the diagnostic setting streams into."
    )
    EVENT_HUB_CONSUMER_GROUP: str = Field(
        min_length=1, description="A consumer group of that hub which nothing else reads."
    )
    EVENT_HUB_RETENTION: timedelta = Field(
        timedelta(0),
        ge=timedelta(0),
        description="How long the hub keeps envelopes, to report how far lag is from it; 0: is not reported.",
    )

    OutputStorage: str = Field(
        "", description="Connection string of the output storage account; or set the next one."
    )
    OutputStorage__blobServiceUri: str = Field(
        "", description="Blob service URI of the account, reached with a managed identity."
    )
    OutputStorage__clientId: str = Field(
        "", description="Client id of the user-assigned identity for the output."
    )
    StateStorage: str = Field(
        "", description="The same for the account of the state container; empty: the output account."
    )
    StateStorage__blobServiceUri: str = Field("", description="Blob service URI of the state account.")
    StateStorage__clientId: str = Field(
        "", description="Client id of the user-assigned identity for the state."
    )
    OUTPUT_CONTAINER: str = Field("websocket-logs", description="Container that the files are written to.")
    STATE_CONTAINER: str = Field(
        "websocket-logs-state",
        description="Container of the ledgers; without lifecycle rules, versioning or soft delete.",
    )
    OUTPUT_FORMATS: Annotated[tuple[Format, ...], NoDecode] = Field(
        ("parquet",), min_length=1, description="`parquet`, `json`, or both."
    )
    PARQUET_COMPRESSION: Compression = Field(
        "snappy",
        description="`snappy`, which every reader opens; `gzip` or `zstd`, whose files are a third smaller.",
    )

    RECORD_MAX_AGE: Span = Field(
        timedelta(days=7),
        le=timedelta(days=31),
        description="So long before its arrival at the hub a record's time may lie; at most 31 days.",
    )
    RECORD_MAX_LEAD: Span = Field(
        timedelta(hours=1), description="So long after its arrival at the hub a record's time may lie."
    )
    ENVELOPE_MAX_INFLATED: int = Field(
        64 * MiB, ge=MiB, le=64 * MiB, description="Bytes that a compressed envelope may inflate to."
    )
    COMMIT_BYTES: int = Field(
        32 * MiB,
        ge=MiB,
        le=64 * MiB,
        description="Bytes of envelopes, inflated, that a commit takes; one envelope alone may be larger.",
    )
    MEMORY_BUDGET: int = Field(
        64 * MiB,
        ge=MiB,
        description="Bytes of envelopes that all commits of a process work on at the same time.",
    )

    WS_OPENING_EVENTS: Names = Field(
        (
            *("ConnectionOpened", "ConnectionEstablished", "ConnectionStarted", "Connected"),
            *("Opened", "Open", "Handshake"),
        ),
        description="Event names that open a connection; letter case does not matter.",
    )
    WS_CLOSING_EVENTS: Names = Field(
        (
            *("ConnectionClosed", "ConnectionTerminated", "ConnectionEnded", "ConnectionFailed"),
            *("Disconnected", "Closed", "Close", "Terminated", "Failed"),
        ),
        description="Event names that close a connection; letter case does not matter.",
    )
    WS_GRACE: Span = Field(
        timedelta(minutes=15), description="So long after a closing event late records are awaited."
    )
    WS_IDLE_TIMEOUT: Span = Field(
        timedelta(hours=24), description="Without a closing event, a connection ends after so long a silence."
    )
    WS_QUIET_TIMEOUT: Span = Field(
        timedelta(minutes=60), description="The same, while no closing event name is known to occur."
    )
    WS_LATE_WINDOW: Span = Field(
        timedelta(hours=6), description="So late a record still revises its finished connection."
    )
    WS_LOOKUP_STALENESS: timedelta = Field(
        timedelta(seconds=5),
        ge=timedelta(0),
        description="So old a process's knowledge of other sources' commits may be.",
    )

    COMPACT_ENABLED: bool = Field(
        True,  # noqa: FBT003 - a default
        description="Whether small Parquet files of an hour are put together into large ones.",
    )
    COMPACT_QUIET: timedelta = Field(
        timedelta(hours=1),
        ge=timedelta(minutes=15),
        description="An hour is compacted once nothing was committed to it for so long; at least 15 minutes.",
    )
    COMPACT_TARGET: int = Field(
        128 * MiB,
        ge=MiB,
        le=256 * MiB,
        description="Bytes that the files of one compaction have together; those above half of it stay.",
    )

    APPLICATIONINSIGHTS_CONNECTION_STRING: str = Field(
        "", description="Application Insights to send metrics and logs to."
    )
    OTEL_EXPORTER_OTLP_ENDPOINT: str = Field(
        "", description="OTLP endpoint (HTTP, protobuf) to send metrics and logs to."
    )
    OTEL_METRICS_EXPORTER: str = Field("", description="`console`: metrics are printed, too; for debugging.")

    @field_validator("OUTPUT_FORMATS", "WS_OPENING_EVENTS", "WS_CLOSING_EVENTS", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return (
            tuple(dict.fromkeys(part.strip() for part in value.split(",") if part.strip()))
            if isinstance(value, str)
            else value
        )

    @model_validator(mode="after")
    def _reachable(self) -> "Settings":
        for name, address in self._services():
            if not (getattr(self, name) or getattr(self, f"{name}__{address}")):
                raise ValueError(f"{name}: set it to a connection string, or set {name}__{address}")
        entity = re.search(r"EntityPath=([^;]+)", self.EventHubConnection)
        name = self.EVENT_HUB_NAME.lower()
        if entity and name and entity[1].lower() != name:
            raise ValueError("EVENT_HUB_NAME: is not the EntityPath of EventHubConnection, which would win")
        if self.COMMIT_BYTES > self.MEMORY_BUDGET:
            raise ValueError("COMMIT_BYTES: must not be above MEMORY_BUDGET")
        return self

    def _services(self) -> tuple[tuple[str, str], ...]:
        """What must be reachable: its setting, and what ends the name of its address."""
        return ("EventHubConnection", "fullyQualifiedNamespace"), ("OutputStorage", "blobServiceUri")

    @property
    def rules(self) -> Rules:
        """What decides which rows and files there will be."""
        return Rules(
            formats=self.OUTPUT_FORMATS,
            compression=self.PARQUET_COMPRESSION,
            max_age=self.RECORD_MAX_AGE,
            max_lead=self.RECORD_MAX_LEAD,
            max_inflated=self.ENVELOPE_MAX_INFLATED,
            commit_bytes=self.COMMIT_BYTES,
            grace=self.WS_GRACE,
        )

    @property
    def finishing(self) -> Finishing:
        """What decides when a connection is finished, and what is said of it."""
        return Finishing(
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
    def compacting(self) -> Compacting:
        """What decides which files are put together."""
        return Compacting(
            enabled=self.COMPACT_ENABLED,
            compression=self.PARQUET_COMPRESSION,
            quiet=self.COMPACT_QUIET,
            target=self.COMPACT_TARGET,
            reach=self.RECORD_MAX_AGE + self.EVENT_HUB_RETENTION + self.WS_IDLE_TIMEOUT,
        )

    @property
    def hub(self) -> Connection:
        """The Event Hubs namespace."""
        return self._connection("EventHubConnection", "fullyQualifiedNamespace")

    @property
    def output(self) -> Connection:
        """The output storage account."""
        return self._connection("OutputStorage", "blobServiceUri")

    @property
    def state(self) -> Connection:
        """The storage account of the state container."""
        state = self._connection("StateStorage", "blobServiceUri")
        return state if state.string or state.address else self.output

    def _connection(self, name: str, address: str) -> Connection:
        return Connection(
            string=getattr(self, name) or None,
            address=getattr(self, f"{name}__{address}") or None,
            client_id=getattr(self, f"{name}__clientId") or None,
        )


class OperatorSettings(Settings):
    """The same for the command line, which can do much without the hub."""

    EVENT_HUB_NAME: str = ""
    EVENT_HUB_CONSUMER_GROUP: str = ""

    def _services(self) -> tuple[tuple[str, str], ...]:
        return (("OutputStorage", "blobServiceUri"),)

    @property
    def without(self) -> tuple[str, ...]:
        """What is missing to ask the hub; nothing: it can be asked."""
        connection = (
            ()
            if self.hub.string or self.hub.address
            else ("EventHubConnection (or EventHubConnection__fullyQualifiedNamespace)",)
        )
        return connection + (() if self.EVENT_HUB_NAME else ("EVENT_HUB_NAME",))


class HubSettings(OperatorSettings):
    """The same for a command that needs the hub alone."""

    def _services(self) -> tuple[tuple[str, str], ...]:
        return ()


SECRETS = {
    *("EventHubConnection", "OutputStorage", "StateStorage"),
    *("APPLICATIONINSIGHTS_CONNECTION_STRING", "OTEL_EXPORTER_OTLP_ENDPOINT"),
}
"""Settings whose values are never shown."""


def load() -> Settings:
    """The settings from the environment. Raises SettingError, which names every wrong one."""
    return load_as(Settings)


def load_as[S: Settings](kind: type[S]) -> S:
    """The settings from the environment, as this kind. Raises SettingError, which names every wrong one."""
    try:
        return kind()
    except ValidationError as error:
        raise SettingError("\n".join(_explain(one) for one in error.errors(include_url=False))) from None


def _explain(error: ErrorDetails) -> str:
    if not error["loc"]:
        return str(error["ctx"]["error"])
    name = str(error["loc"][0])
    meaning = Settings.model_fields[name].description
    if error["type"] == "missing":
        return f"{name}: is not set. {meaning}"
    value = "***" if name in SECRETS else repr(error["input"])
    return f"{name}: {value}: {error['msg']}. {meaning}"
