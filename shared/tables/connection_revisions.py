"""The table of finished connections: a row for each revision."""

import pyarrow as pa

from shared.tables.table import TEXT, TIME, Column, Newest, Role, Table

CONNECTIONS = Table(
    "ApiManagementWebSocketConnectionRevisions",
    (
        Column(
            "CorrelationId",
            TEXT,
            "Groups the related events of one WebSocket request.",
            Role.DERIVED,
            required=True,
        ),
        Column("_ResourceId", TEXT, "Resource id of the API Management instance, lower case.", Role.DERIVED),
        Column("_SubscriptionId", TEXT, "Subscription of the instance.", Role.DERIVED),
        Column("StartTime", TIME, "The earliest time of its records.", Role.DERIVED, required=True),
        Column("EndTime", TIME, "The latest time of its records.", Role.DERIVED, required=True),
        Column(
            "DurationMs",
            pa.float64(),
            "Its duration in milliseconds; null if the records do not show it.",
            Role.DERIVED,
        ),
        Column(
            "DurationSource",
            TEXT,
            "`event_times`: EndTime minus StartTime; `reported`: by a closing event; `indeterminate`: null.",
            Role.DERIVED,
            required=True,
        ),
        Column(
            "ArrivalDurationMs",
            pa.float64(),
            "Estimate (ms): LastSeen minus FirstSeen; accurate to minutes, because delivery delays differ.",
            Role.DERIVED,
            required=True,
        ),
        Column(
            "Status",
            TEXT,
            "How it ended: `closed`, `failed`, or without a closing event `quiet` or `timed_out`.",
            Role.DERIVED,
            required=True,
        ),
        Column("EventCount", pa.int64(), "Number of its records.", Role.DERIVED, required=True),
        Column(
            "OpeningEvent", TEXT, "Name of the first opening event; null if there was none.", Role.DERIVED
        ),
        Column("ClosingEvent", TEXT, "Name of the last closing event; null if there was none.", Role.DERIVED),
        Column("Error", TEXT, "The last error.", Role.DERIVED),
        Column("Source", TEXT, "The last source.", Role.DERIVED),
        Column("Destination", TEXT, "The last destination.", Role.DERIVED),
        Column("Region", TEXT, "The last Azure region.", Role.DERIVED),
        Column(
            "FirstSeen",
            TIME,
            "When its first record reached the hub, as known at Revision 0; the same in all revisions.",
            Role.DERIVED,
            required=True,
        ),
        Column("LastSeen", TIME, "When its last record reached the hub.", Role.DERIVED, required=True),
        Column(
            "CommitId",
            TEXT,
            "The commit that wrote Revision 0: distinguishes the rows of one connection; revisions share it.",
            Role.DERIVED,
            required=True,
        ),
        Column(
            "Revision",
            pa.int32(),
            "Numbers the rows of one _ResourceId, CorrelationId and CommitId from 0; the highest is valid.",
            Role.DERIVED,
            required=True,
        ),
    ),
    time_column="EndTime",
    newest=Newest(
        "ApiManagementWebSocketConnections", ("_ResourceId", "CorrelationId", "CommitId"), "Revision"
    ),
    sort_key=("CorrelationId", "StartTime", "EndTime", "CommitId", "Revision"),
)
