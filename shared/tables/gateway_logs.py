"""The table of gateway logs: a row for each request that API Management's gateway handled."""

import pyarrow as pa

from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.table import TEXT, TIME, Column, Join, Role, Table, in_properties
from shared.tables.websocket_connection_logs import RECORDS

_NUMBER = pa.float64()

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
        Column("CallerIpAddress", TEXT, "Address of the immediate client, which can be a proxy.",
               resource_log=("callerIpAddress",), table_form="CallerIpAddress"),
        in_properties("Method", "HTTP method of the request."),
        in_properties("Url", "URL of the request."),
        in_properties("ClientProtocol", "HTTP version between client and gateway."),
        in_properties("ClientTlsVersion", "TLS version between client and gateway."),
        in_properties("ResponseCode", "Status code of the response to the client.", _NUMBER),
        in_properties("BackendMethod", "HTTP method of the request to the backend."),
        in_properties("BackendUrl", "URL of the request to the backend."),
        in_properties("BackendResponseCode", "Status code of the backend's response.", _NUMBER),
        in_properties("BackendProtocol", "HTTP version between gateway and backend."),
        in_properties("RequestSize", "Bytes received from the client.", _NUMBER),
        in_properties("ResponseSize", "Bytes sent to the client.", _NUMBER),
        in_properties("Cache", "Involvement of the cache in the request: hit, miss or none."),
        in_properties("CacheTime", "Time spent on I/O with the cache (ms).", _NUMBER),
        in_properties("BackendTime", "Time spent on I/O with the backend (ms).", _NUMBER),
        in_properties("ClientTime", "Time spent on I/O with the client (ms).", _NUMBER),
        in_properties("ApiId", "Identifier of the API."),
        in_properties("ApiRevision", "Revision of the API."),
        in_properties("OperationId", "Identifier of the API's operation."),
        in_properties("ProductId", "Identifier of the product."),
        in_properties("UserId", "Identifier of the user."),
        in_properties("ApimSubscriptionId", "Identifier of the subscription to the API."),
        in_properties("BackendId", "Identifier of the backend."),
        in_properties("LastErrorElapsed", "Time from the request to the last error (ms).", _NUMBER),
        in_properties("LastErrorSource", "Policy or handler that caused the last error."),
        in_properties("LastErrorScope", "Scope of the policy document that caused the last error."),
        in_properties("LastErrorSection", "Section of the policy document that caused the last error."),
        in_properties("LastErrorReason", "Reason for the last error."),
        in_properties("LastErrorMessage", "Message of the last error."),
        Column("LastError", TEXT, "The last error as a JSON object, if the record has one.",
               resource_log=("properties.lastError",)),
        in_properties("Errors", "All errors, as JSON."),
        in_properties("RequestHeaders", "Headers from the client, as JSON."),
        in_properties("ResponseHeaders", "Headers to the client, as JSON."),
        in_properties("BackendRequestHeaders", "Headers to the backend, as JSON."),
        in_properties("BackendResponseHeaders", "Headers from the backend, as JSON."),
        in_properties("RequestBody", "Body of the client's request."),
        in_properties("ResponseBody", "Body of the response to the client."),
        in_properties("BackendRequestBody", "Body of the request to the backend."),
        in_properties("BackendResponseBody", "Body of the backend's response."),
        in_properties("TraceRecords", "Records of trace policies, as JSON."),
        in_properties("IsTraceRequested", "`true` if the caller asked for a trace."),
        in_properties("IsTraceAllowed", "`true` if the trace was allowed."),
        in_properties("IsTraceExpired", "`true` if the permission to trace had expired."),
        in_properties("IsMasterTrace", "`true` if the trace used the master subscription."),
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
