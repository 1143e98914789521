"""The table of language model logs: tokens, model and messages of a request, in one or more records."""

import pyarrow as pa

from shared.tables.table import TEXT, TIME, Column, Role, Table, in_properties
from shared.tables.websocket_connection_logs import RECORDS

_NUMBER = pa.float64()

# Names and meanings follow Azure Monitor's reference of the table:
# https://learn.microsoft.com/azure/azure-monitor/reference/tables/apimanagementgatewayllmlog
# Large messages are split into several records with a SequenceNumber:
# https://learn.microsoft.com/azure/api-management/api-management-howto-llm-logs
GATEWAY_LLM_LOG = Table(
    "ApiManagementGatewayLlmLog",
    (
        Column("TimeGenerated", TIME, "When the gateway began to process the request.", required=True,
               resource_log=("time", "timeStamp"), table_form="TimeGenerated"),
        Column("CorrelationId", TEXT, "Identifier of the request, as in the gateway logs.", required=True,
               resource_log=("correlationId", "properties.correlationId"), table_form="CorrelationId"),
        Column("OperationName", TEXT, "Name of the operation.",
               resource_log=("operationName",), table_form="OperationName"),
        Column("Region", TEXT, "Azure region of the gateway.",
               resource_log=("location", "region"), table_form="Region"),
        in_properties("RequestId", "Identifier that the language model gave the request."),
        in_properties("SequenceNumber", "Index of this part of the messages.", _NUMBER),
        in_properties("DeploymentName", "Deployment that the client requested."),
        in_properties("ModelName", "Model that the request used."),
        in_properties("ApiVersion", "Version of the API that the client used."),
        in_properties("IsStreamCompletion", "`true` or `false`: whether the request asked for a stream."),
        in_properties("PromptTokens", "Tokens in the prompt.", _NUMBER),
        in_properties("CompletionTokens", "Tokens in the completion.", _NUMBER),
        in_properties("TotalTokens", "Total tokens of the request.", _NUMBER),
        Column("PromptCachedTokens", _NUMBER,
               "Prompt tokens that came from the model's cache. Microsoft's table lacks this column.",
               resource_log=("properties.promptCachedTokens",)),
        in_properties("RequestMessages", "The prompt, as JSON."),
        in_properties("ResponseMessages", "The completion, as JSON."),
        *(column for column in RECORDS.columns if column.name in {"_ResourceId", "_SubscriptionId"}),
        Column("AdditionalProperties", TEXT, "All other keys, as a JSON object."),
        *RECORDS.of(Role.LINEAGE),
    ),
    time_column="TimeGenerated",
    sort_key=("CorrelationId", "TimeGenerated", "_SequenceNumber", "_RecordIndex"),
    category="GatewayLlmLogs",
)  # fmt: skip
