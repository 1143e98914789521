"""The table of gateway logs: a row for each request that API Management's gateway handled."""

import pyarrow as pa

from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.table import TEXT, TIME, Column, Join, Role, Table
from shared.tables.websocket_connection_logs import RECORDS

_NUMBER = pa.float64()


def _inner(name: str, meaning: str, kind: pa.DataType = TEXT) -> Column:
    """Declares a column whose value is in `properties`, under its name with a lower-case first letter."""
    return Column(
        name, kind, meaning, resource_log=(f"properties.{name[0].lower()}{name[1:]}",), table_form=name
    )


# Names and meanings follow Azure Monitor's references of the table and of the log's schema:
# https://learn.microsoft.com/azure/azure-monitor/reference/tables/apimanagementgatewaylogs
# https://learn.microsoft.com/azure/api-management/gateway-log-schema-reference
GATEWAY_LOGS = Table(
    "ApiManagementGatewayLogs",
    (
        Column("TimeGenerated", TIME, "When the gateway began to process the request.", required=True,
               resource_log=("time", "timeStamp"), table_form="TimeGenerated"),
        Column("CorrelationId", TEXT, "Identifier that API Management gives the request.", required=True,
               resource_log=("correlationId", "properties.correlationId"), table_form="CorrelationId"),
        Column("OperationName", TEXT, "Constant: Microsoft.ApiManagement/GatewayLogs.",
               resource_log=("operationName",), table_form="OperationName"),
        Column("Region", TEXT, "Azure region of the gateway.",
               resource_log=("location", "region"), table_form="Region"),
        Column("IsRequestSuccess", TEXT, "`true` if the response code is below 400.",
               resource_log=("isRequestSuccess",), table_form="IsRequestSuccess"),
        Column("TotalTime", _NUMBER, "Time from the request to the end of the response (ms).",
               resource_log=("durationMs",), table_form="TotalTime"),
        Column("CallerIpAddress", TEXT, "Address of the immediate caller, which can be a proxy.",
               resource_log=("callerIpAddress",), table_form="CallerIpAddress"),
        _inner("Method", "HTTP method of the request."),
        _inner("Url", "URL of the request."),
        _inner("ClientProtocol", "HTTP version between client and gateway."),
        _inner("ClientTlsVersion", "TLS version between client and gateway."),
        _inner("ResponseCode", "Status code of the response to the client.", _NUMBER),
        _inner("BackendMethod", "HTTP method of the request to the backend."),
        _inner("BackendUrl", "URL of the request to the backend."),
        _inner("BackendResponseCode", "Status code of the backend's response.", _NUMBER),
        _inner("BackendProtocol", "HTTP version between gateway and backend."),
        _inner("RequestSize", "Bytes that were received from the client.", _NUMBER),
        _inner("ResponseSize", "Bytes that were sent to the client.", _NUMBER),
        _inner("Cache", "Involvement of the cache in the request: hit, miss or none."),
        _inner("CacheTime", "Time for input and output of the cache (ms).", _NUMBER),
        _inner("BackendTime", "Time for input and output of the backend (ms).", _NUMBER),
        _inner("ClientTime", "Time for input and output of the client (ms).", _NUMBER),
        _inner("ApiId", "Identifier of the API."),
        _inner("ApiRevision", "Revision of the API."),
        _inner("OperationId", "Identifier of the API's operation."),
        _inner("ProductId", "Identifier of the product."),
        _inner("UserId", "Identifier of the user."),
        _inner("ApimSubscriptionId", "Identifier of the subscription to the API."),
        _inner("BackendId", "Identifier of the backend."),
        _inner("LastErrorElapsed", "Time from the request to the last error (ms).", _NUMBER),
        _inner("LastErrorSource", "Policy or handler that caused the last error."),
        _inner("LastErrorScope", "Scope of the policy document that caused the last error."),
        _inner("LastErrorSection", "Section of the policy document that caused the last error."),
        _inner("LastErrorReason", "Reason of the last error."),
        _inner("LastErrorMessage", "Message of the last error."),
        Column("LastError", TEXT, "The last error as a JSON object, if the record has one.",
               resource_log=("properties.lastError",)),
        _inner("Errors", "All errors, as JSON."),
        _inner("RequestHeaders", "Headers from the client, as JSON."),
        _inner("ResponseHeaders", "Headers to the client, as JSON."),
        _inner("BackendRequestHeaders", "Headers to the backend, as JSON."),
        _inner("BackendResponseHeaders", "Headers from the backend, as JSON."),
        _inner("RequestBody", "Body of the client's request."),
        _inner("ResponseBody", "Body of the response to the client."),
        _inner("BackendRequestBody", "Body of the request to the backend."),
        _inner("BackendResponseBody", "Body of the backend's response."),
        _inner("TraceRecords", "Records of trace policies, as JSON."),
        _inner("IsTraceRequested", "`true` if the caller asked for a trace."),
        _inner("IsTraceAllowed", "`true` if the trace was allowed."),
        _inner("IsTraceExpired", "`true` if the permission to trace had expired."),
        _inner("IsMasterTrace", "`true` if the trace used the master subscription."),
        *(column for column in RECORDS.columns if column.name in {"_ResourceId", "_SubscriptionId"}),
        Column("AdditionalProperties", TEXT, "All other keys, as a JSON object."),
        *RECORDS.of(Role.LINEAGE),
    ),
    time_column="TimeGenerated",
    sort_key=("CorrelationId", "TimeGenerated", "_SequenceNumber", "_RecordIndex"),
    category="GatewayLogs",
    join=Join(
        view="ApiManagementWebSocketConnectionRequests",
        left=CONNECTIONS,
        identity=("_ResourceId", "CorrelationId"),
        begin="StartTime",
        end="EndTime",
        time_name="RequestTime",
        columns=(
            "ApiId", "ApiRevision", "OperationId", "ProductId", "UserId", "ApimSubscriptionId",
            "CallerIpAddress", "Method", "Url", "ResponseCode", "BackendId", "BackendUrl", "LastErrorReason",
        ),
    ),
)  # fmt: skip
