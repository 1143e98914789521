"""Declares the exported tables: their columns, what these mean, and where they come from."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

import pyarrow as pa

VERSION = 1
"""Grows with every change; changes only ever add nullable columns."""

CATEGORY = "WebSocketConnectionLogs"
"""The category of the exported records in the resource-log form."""

_TIME = pa.timestamp("us", "UTC")
_TEXT = pa.string()


class Role(StrEnum):
    """Where a column's values come from."""

    INPUT = "input"
    """The record itself."""
    DERIVED = "derived"
    """What is known of its connection."""
    LINEAGE = "lineage"
    """The envelope that it came in."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table."""

    name: str
    type: Any
    """Its Arrow type."""
    meaning: str
    role: Role = Role.INPUT
    required: bool = False
    """Never null: a record without it is rejected, unless there is a default."""
    resource_log: tuple[str, ...] = ()
    """Keys that hold it in the resource-log form, the first one present counts; letter case is ignored."""
    table_form: str | None = None
    """The key that holds it in the table's own form."""
    default: str | None = None

    @property
    def field(self) -> pa.Field:
        """As an Arrow field, its meaning in the metadata as `description`."""
        return pa.field(
            self.name, self.type, nullable=not self.required, metadata={"description": self.meaning}
        )


@dataclass(frozen=True)
class Table:
    """A table that is exported: its name and its columns in order."""

    name: str
    columns: tuple[Column, ...]

    @cached_property
    def arrow(self) -> pa.Schema:
        """As an Arrow schema; its metadata say `table` and `schema_version`."""
        return pa.schema(
            [column.field for column in self.columns],
            metadata={"table": self.name, "schema_version": str(VERSION)},
        )

    def of(self, role: Role) -> tuple[Column, ...]:
        """The columns of one role, in order."""
        return tuple(column for column in self.columns if column.role is role)


# The columns up to Type, and the workspace columns, are those that Azure Monitor documents for the table:
# https://learn.microsoft.com/azure/azure-monitor/reference/tables/apimanagementwebsocketconnectionlogs
RECORDS = Table(
    "ApiManagementWebSocketConnectionLogs",
    (
        Column(
            "TimeGenerated",
            _TIME,
            "When processing of the request started, as Azure documents it; cut to microseconds.",
            required=True,
            resource_log=("time", "timeStamp", "eventTimestamp", "@timestamp"),
            table_form="TimeGenerated",
        ),
        Column(
            "CorrelationId",
            _TEXT,
            "Groups the related events of one WebSocket request.",
            required=True,
            resource_log=("correlationId", "properties.correlationId"),
            table_form="CorrelationId",
        ),
        Column(
            "EventName",
            _TEXT,
            "Name of the event, which describes the operation. Azure documents no values.",
            resource_log=("properties.eventName", "eventName"),
            table_form="EventName",
        ),
        Column(
            "Source",
            _TEXT,
            "Source of the request or message.",
            resource_log=("properties.source", "source"),
            table_form="Source",
        ),
        Column(
            "Destination",
            _TEXT,
            "Destination of the request or message.",
            resource_log=("properties.destination", "destination"),
            table_form="Destination",
        ),
        Column(
            "Error",
            _TEXT,
            "Details of the error, if there is one.",
            resource_log=("properties.error", "error"),
            table_form="Error",
        ),
        Column(
            "Region",
            _TEXT,
            "Country or region of the API Management gateway.",
            resource_log=("location", "region"),
            table_form="Region",
        ),
        Column(
            "_ResourceId",
            _TEXT,
            "Resource id of the API Management instance, lower case.",
            resource_log=("resourceId",),
            table_form="_ResourceId",
        ),
        Column(
            "_SubscriptionId",
            _TEXT,
            "Subscription of the instance; from the resource id, where the record has none.",
            table_form="_SubscriptionId",
        ),
        Column(
            "SourceSystem",
            _TEXT,
            "Type of agent that collected the event.",
            required=True,
            table_form="SourceSystem",
            default="Azure",
        ),
        Column(
            "Type",
            _TEXT,
            "The table's name.",
            required=True,
            table_form="Type",
            default="ApiManagementWebSocketConnectionLogs",
        ),
        Column("TenantId", _TEXT, "Log Analytics workspace id.", table_form="TenantId"),
        Column("_BilledSize", pa.float64(), "Size of the record in bytes.", table_form="_BilledSize"),
        Column(
            "_IsBillable",
            _TEXT,
            "Whether ingesting the record into the workspace is billed.",
            table_form="_IsBillable",
        ),
        Column(
            "ReportedDurationMs",
            pa.float64(),
            "The duration that the record itself states, in milliseconds.",
            resource_log=("durationMs", "properties.durationMs"),
        ),
        Column(
            "AdditionalProperties",
            _TEXT,
            "What no other column takes, as a JSON object; keys of `properties` under `properties`.",
        ),
        Column(
            "ConnectionStartTime",
            _TIME,
            "The earliest time that was known of the connection when the record was exported.",
            Role.DERIVED,
        ),
        Column(
            "ConnectionDurationMs",
            pa.float64(),
            "TimeGenerated minus ConnectionStartTime (ms): a lower bound of the duration; null if that is 0.",
            Role.DERIVED,
        ),
        Column(
            "ConnectionArrivalDurationMs",
            pa.float64(),
            "Estimate (ms): _EnqueuedTime minus the earliest arrival known of the connection; minutes off.",
            Role.DERIVED,
        ),
        Column(
            "_EventHubPartition",
            _TEXT,
            "The partition: Event Hubs namespace, hub and partition id.",
            Role.LINEAGE,
            required=True,
        ),
        Column(
            "_SequenceNumber",
            pa.int64(),
            "Sequence number of the envelope in its partition.",
            Role.LINEAGE,
            required=True,
        ),
        Column(
            "_RecordIndex", pa.int32(), "Position of the record in its envelope.", Role.LINEAGE, required=True
        ),
        Column("_EnqueuedTime", _TIME, "When the envelope reached the hub.", Role.LINEAGE, required=True),
    ),
)


CONNECTIONS = Table(
    "ApiManagementWebSocketConnectionRevisions",
    (
        Column(
            "CorrelationId",
            _TEXT,
            "Groups the related events of one WebSocket request.",
            Role.DERIVED,
            required=True,
        ),
        Column("_ResourceId", _TEXT, "Resource id of the API Management instance, lower case.", Role.DERIVED),
        Column("_SubscriptionId", _TEXT, "Subscription of the instance.", Role.DERIVED),
        Column("StartTime", _TIME, "The earliest time of its records.", Role.DERIVED, required=True),
        Column("EndTime", _TIME, "The latest time of its records.", Role.DERIVED, required=True),
        Column(
            "DurationMs",
            pa.float64(),
            "How long it lasted, in milliseconds; null where the records do not tell.",
            Role.DERIVED,
        ),
        Column(
            "DurationSource",
            _TEXT,
            "`event_times`: EndTime minus StartTime; `reported`: by a closing event; `indeterminate`: null.",
            Role.DERIVED,
            required=True,
        ),
        Column(
            "ArrivalDurationMs",
            pa.float64(),
            "Estimate (ms): LastSeen minus FirstSeen; off by as much as delivery delays differ, so minutes.",
            Role.DERIVED,
            required=True,
        ),
        Column(
            "Status",
            _TEXT,
            "How it ended: `closed`, `failed`, or without a closing event `quiet` or `timed_out`.",
            Role.DERIVED,
            required=True,
        ),
        Column("EventCount", pa.int64(), "Its records.", Role.DERIVED, required=True),
        Column("OpeningEvent", _TEXT, "Name of the first opening event; null: none was seen.", Role.DERIVED),
        Column("ClosingEvent", _TEXT, "Name of the last closing event; null: none was seen.", Role.DERIVED),
        Column("Error", _TEXT, "The last error.", Role.DERIVED),
        Column("Source", _TEXT, "The last source.", Role.DERIVED),
        Column("Destination", _TEXT, "The last destination.", Role.DERIVED),
        Column("Region", _TEXT, "The last Azure region.", Role.DERIVED),
        Column(
            "FirstSeen",
            _TIME,
            "When its first record reached the hub, as known at Revision 0; the same in all revisions.",
            Role.DERIVED,
            required=True,
        ),
        Column("LastSeen", _TIME, "When its last record reached the hub.", Role.DERIVED, required=True),
        Column(
            "CommitId",
            _TEXT,
            "Tells the rows of one connection apart; revisions share it: the commit that wrote Revision 0.",
            Role.DERIVED,
            required=True,
        ),
        Column(
            "Revision",
            pa.int32(),
            "Counts the rows of one _ResourceId, CorrelationId and CommitId from 0: the highest is valid.",
            Role.DERIVED,
            required=True,
        ),
    ),
)
