"""The table of language model logs: tokens, model and messages of a request, in one or more records."""

import pyarrow as pa

from shared.tables.table import TEXT, TIME, Column, Role, Table
from shared.tables.websocket_connection_logs import RECORDS

_NUMBER = pa.float64()


def _inner(name: str, meaning: str, kind: pa.DataType = TEXT) -> Column:
    """Declares a column whose value is in `properties`, under its name with a lower-case first letter."""
    return Column(
        name, kind, meaning, resource_log=(f"properties.{name[0].lower()}{name[1:]}",), table_form=name
    )


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
        _inner("RequestId", "Identifier that the language model gave the request."),
        _inner("SequenceNumber", "Index of this part of the messages.", _NUMBER),
        _inner("DeploymentName", "Deployment that the client named."),
        _inner("ModelName", "Model that the request used."),
        _inner("ApiVersion", "Version of the API that the client used."),
        _inner("IsStreamCompletion", "`true` or `false`: whether the request asked for a stream."),
        _inner("PromptTokens", "Tokens of the prompt.", _NUMBER),
        _inner("CompletionTokens", "Tokens of the completion.", _NUMBER),
        _inner("TotalTokens", "All tokens of the request.", _NUMBER),
        Column("PromptCachedTokens", _NUMBER,
               "Tokens of the prompt from the model's cache. Microsoft's table lacks it.",
               resource_log=("properties.promptCachedTokens",)),
        _inner("RequestMessages", "The prompt, as JSON."),
        _inner("ResponseMessages", "The completion, as JSON."),
        *(column for column in RECORDS.columns if column.name in {"_ResourceId", "_SubscriptionId"}),
        Column("AdditionalProperties", TEXT, "All other keys, as a JSON object."),
        *RECORDS.of(Role.LINEAGE),
    ),
    time_column="TimeGenerated",
    sort_key=("CorrelationId", "TimeGenerated", "_SequenceNumber", "_RecordIndex"),
    category="GatewayLlmLogs",
)  # fmt: skip
