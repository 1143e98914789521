"""The table of WebSocket connection logs: a row for each record, as documented by Azure Monitor."""

import pyarrow as pa

from shared.tables.table import TEXT, TIME, Column, Role, Table

CATEGORY = "WebSocketConnectionLogs"
"""The category of the exported records in the resource-log form."""


# Azure Monitor documents the columns up to Type, and the workspace columns:
# https://learn.microsoft.com/azure/azure-monitor/reference/tables/apimanagementwebsocketconnectionlogs
RECORDS = Table(
    "ApiManagementWebSocketConnectionLogs",
    (
        Column(
            "TimeGenerated",
            TIME,
            "When processing of the request started, according to Azure; truncated to microseconds.",
            required=True,
            resource_log=("time", "timeStamp", "eventTimestamp", "@timestamp"),
            table_form="TimeGenerated",
        ),
        Column(
            "CorrelationId",
            TEXT,
            "Groups the related events of one WebSocket request.",
            required=True,
            resource_log=("correlationId", "properties.correlationId"),
            table_form="CorrelationId",
        ),
        Column(
            "EventName",
            TEXT,
            "Name of the event, which describes the operation. Azure documents no values.",
            resource_log=("properties.eventName", "eventName"),
            table_form="EventName",
        ),
        Column(
            "Source",
            TEXT,
            "Source of the request or message.",
            resource_log=("properties.source", "source"),
            table_form="Source",
        ),
        Column(
            "Destination",
            TEXT,
            "Destination of the request or message.",
            resource_log=("properties.destination", "destination"),
            table_form="Destination",
        ),
        Column(
            "Error",
            TEXT,
            "Details of the error, if there is one.",
            resource_log=("properties.error", "error"),
            table_form="Error",
        ),
        Column(
            "Region",
            TEXT,
            "Country or region of the API Management gateway.",
            resource_log=("location", "region"),
            table_form="Region",
        ),
        Column(
            "_ResourceId",
            TEXT,
            "Resource id of the API Management instance, lower case.",
            resource_log=("resourceId",),
            table_form="_ResourceId",
        ),
        Column(
            "_SubscriptionId",
            TEXT,
            "Subscription of the instance; taken from the resource id if the record has none.",
            table_form="_SubscriptionId",
        ),
        Column(
            "SourceSystem",
            TEXT,
            "Type of agent that collected the event.",
            required=True,
            table_form="SourceSystem",
            default="Azure",
        ),
        Column(
            "Type",
            TEXT,
            "The table's name.",
            required=True,
            table_form="Type",
            default="ApiManagementWebSocketConnectionLogs",
        ),
        Column("TenantId", TEXT, "Log Analytics workspace id.", table_form="TenantId"),
        Column("_BilledSize", pa.float64(), "Size of the record in bytes.", table_form="_BilledSize"),
        Column(
            "_IsBillable",
            TEXT,
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
            TEXT,
            "All other keys, as a JSON object; keys of `properties` are under `properties`.",
        ),
        Column(
            "ConnectionStartTime",
            TIME,
            "The earliest time of the connection that was known when the record was exported.",
            Role.DERIVED,
        ),
        Column(
            "ConnectionDurationMs",
            pa.float64(),
            "TimeGenerated minus ConnectionStartTime (ms), a lower bound of the duration; null instead of 0.",
            Role.DERIVED,
        ),
        Column(
            "ConnectionArrivalDurationMs",
            pa.float64(),
            "Estimate (ms): _EnqueuedTime minus the connection's earliest known arrival; off by minutes.",
            Role.DERIVED,
        ),
        Column(
            "_EventHubPartition",
            TEXT,
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
        Column("_EnqueuedTime", TIME, "When the envelope reached the hub.", Role.LINEAGE, required=True),
    ),
    time_column="TimeGenerated",
    sort_key=("CorrelationId", "TimeGenerated", "_SequenceNumber", "_RecordIndex"),
    category=CATEGORY,
    derive="start_times",
)
