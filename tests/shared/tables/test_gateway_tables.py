"""The gateway's tables have Microsoft's columns, and take records in the form of public samples."""

import io
import re
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest

from shared.compaction.compactor import Compactor
from shared.export.exporter import Exporter
from shared.policies import CompactionPolicy, ExportPolicy, RedactionPolicy
from shared.protocol.ledger import Ledger
from shared.protocol.publishing import repair_ledger
from shared.protocol.stamp import Stamp
from shared.settings import Settings
from shared.tables.gateway_llm_log import GATEWAY_LLM_LOG
from shared.tables.gateway_logs import GATEWAY_LOGS
from shared.tables.registry import categories
from shared.tables.table import Role, Table
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import HOUR, SECOND
from tests import audits, delta_reader
from tests.memory import MemoryStorage
from tests.records import EPOCH, PARTITION, RESOURCE, envelope
from tests.shared.exported import record

# learn.microsoft.com/azure/azure-monitor/reference/tables/apimanagementgatewaylogs
GATEWAY_COLUMNS = """
ApiId ApimSubscriptionId ApiRevision BackendId BackendMethod BackendProtocol BackendRequestBody
BackendRequestHeaders BackendResponseBody BackendResponseCode BackendResponseHeaders BackendTime
BackendUrl Cache CacheTime CallerIpAddress ClientProtocol ClientTime ClientTlsVersion CorrelationId
Errors IsMasterTrace IsTraceAllowed IsTraceExpired IsTraceRequested IsRequestSuccess
LastErrorElapsed LastErrorMessage LastErrorReason LastErrorScope LastErrorSection LastErrorSource
Method OperationId OperationName ProductId Region RequestBody RequestHeaders RequestSize _ResourceId
ResponseBody ResponseCode ResponseHeaders ResponseSize _SubscriptionId TimeGenerated TotalTime
TraceRecords Url UserId
"""
# learn.microsoft.com/azure/azure-monitor/reference/tables/apimanagementgatewayllmlog
LLM_COLUMNS = """
ApiVersion CompletionTokens CorrelationId DeploymentName IsStreamCompletion ModelName OperationName
PromptTokens Region RequestId RequestMessages _ResourceId ResponseMessages SequenceNumber
_SubscriptionId TimeGenerated TotalTokens
"""
OURS = {"LastError", "PromptCachedTokens", "AdditionalProperties"}

FRAME = {
    "DeploymentVersion": "0.40.16708.0",
    "Level": 4,
    "time": "2030-03-17T17:46:40.1234567Z",
    "location": "West Europe",
    "resourceId": RESOURCE,
    "resultType": "Succeeded",
    "truncated": 0,
}


def gateway(id_: str, **inner: Any) -> dict[str, Any]:
    """The common form of resource logs with the columns of the table reference; the values are invented."""
    return FRAME | {
        "category": "GatewayLogs",
        "operationName": "Microsoft.ApiManagement/GatewayLogs",
        "correlationId": id_,
        "isRequestSuccess": True,
        "durationMs": 165,
        "callerIpAddress": "192.0.2.7",
        "properties": {
            "method": "GET",
            "url": "https://contoso.example/chat",
            "backendResponseCode": 101,
            "responseCode": 101,
            "responseSize": 1113,
            "cache": "none",
            "backendTime": 164,
            "requestSize": 2204,
            "apiId": "chat",
            "operationId": "connect",
            "clientProtocol": "HTTP/1.1",
            "apiRevision": "1",
            "clientTlsVersion": "1.2",
        }
        | inner,
    }


def language(id_: str, **inner: Any) -> dict[str, Any]:
    return FRAME | {
        "category": "GatewayLlmLogs",
        "operationName": "Microsoft.ApiManagement/GatewayLlmLogs",
        "correlationId": id_,
        "properties": {"modelName": "gpt-4o", "promptTokens": 26, "completionTokens": 5, "totalTokens": 31}
        | inner,
    }


class World:
    """The exporter's output for these records, in small commits."""

    def __init__(self, *bodies: list[dict[str, Any]], redaction: RedactionPolicy | None = None) -> None:
        self.storage = MemoryStorage()
        self._ids = (f"{number:032x}" for number in range(1, 999))
        exported = ("WebSocketConnectionLogs", "GatewayLogs", "GatewayLlmLogs")
        policy = ExportPolicy(categories=exported, redaction=redaction or RedactionPolicy())
        for at, found in enumerate(bodies):
            exporter = Exporter(self.storage, policy, 1 << 24, lambda: EPOCH, lambda: next(self._ids))
            exporter.run(PARTITION, [envelope(at, EPOCH + at * SECOND, *found)])

    def rows(self, table: Table) -> list[dict[str, Any]]:
        return [
            row
            for name, file in sorted(self.storage.output.items())
            if name.startswith(f"parquet/{table.name}/date=") and file.data is not None
            for row in pq.read_table(io.BytesIO(file.data)).to_pylist()
        ]

    def ledger(self) -> Ledger:
        name = Ledger.name(PARTITION)
        return Ledger.parse(self.storage.state[name].data, name)

    def audited(self) -> int:
        return audits.audited(self.storage).status


@pytest.mark.parametrize(
    ("table", "names"), [(GATEWAY_LOGS, GATEWAY_COLUMNS), (GATEWAY_LLM_LOG, LLM_COLUMNS)]
)
def test_a_table_has_the_columns_of_microsofts_reference(table: Table, names: str) -> None:
    found = {column.name for column in table.columns if column.role is Role.INPUT}
    assert found - OURS == set(names.split())
    assert table.of(Role.LINEAGE) == RECORDS.of(Role.LINEAGE)


def test_a_gateway_record_fills_the_columns() -> None:
    error = {"elapsed": 0, "source": "configuration", "reason": "OperationNotFound", "message": "no match"}
    (first, second) = World([gateway("a"), gateway("b", lastError=error)]).rows(GATEWAY_LOGS)
    filled = {name: value for name, value in first.items() if value is not None and name[0] != "_"}
    rest = orjson.loads(filled.pop("AdditionalProperties"))
    assert {*rest} == {"DeploymentVersion", "Level", "resultType", "truncated"}
    assert filled.pop("TimeGenerated").isoformat() == "2030-03-17T17:46:40.123456+00:00"
    assert filled == {
        "CorrelationId": "a",
        "OperationName": "Microsoft.ApiManagement/GatewayLogs",
        "Region": "West Europe",
        "IsRequestSuccess": "true",
        "TotalTime": 165,
        "CallerIpAddress": "192.0.2.7",
        "Method": "GET",
        "Url": "https://contoso.example/chat",
        "ClientProtocol": "HTTP/1.1",
        "ClientTlsVersion": "1.2",
        "ResponseCode": 101,
        "BackendResponseCode": 101,
        "RequestSize": 2204,
        "ResponseSize": 1113,
        "Cache": "none",
        "BackendTime": 164,
        "ApiId": "chat",
        "ApiRevision": "1",
        "OperationId": "connect",
    }
    assert (first["_ResourceId"], first["_SubscriptionId"]) == (FRAME["resourceId"].lower(), "s")  # type: ignore[attr-defined]
    assert orjson.loads(second["LastError"]) == error


def test_each_key_of_microsofts_sample_fills_a_column() -> None:
    """The keys of learn.microsoft.com/azure/api-management/api-management-howto-use-azure-monitor."""
    inner = {
        "apimSubscriptionId": "master",
        "clientTime": 65,
        "backendProtocol": "HTTP/1.1",
        "backendMethod": "GET",
        "backendUrl": "https://backend.example/speakers",
    }
    made = gateway("a", **inner)
    for key in ("DeploymentVersion", "truncated"):
        del made[key]
    (row,) = World([made]).rows(GATEWAY_LOGS)
    for key, value in made["properties"].items():
        assert row[key[0].upper() + key[1:]] == value, key
    assert (row["TotalTime"], row["IsRequestSuccess"], row["Region"]) == (165, "true", "West Europe")
    assert orjson.loads(row["AdditionalProperties"]) == {"Level": 4, "resultType": "Succeeded"}


def test_the_older_form_has_properties_as_text() -> None:
    """The keys that the same page listed in 2017; those without a column are kept, too."""
    old = {
        "ApiId": "chat",
        "OperationId": "connect",
        "ProductId": "unlimited",
        "SubscriptionId": "master",
        "Method": "GET",
        "Url": "https://contoso.example/chat",
        "RequestSize": 12,
        "ServiceTime": "3",
        "BackendResponseCode": "200",
        "ResponseCode": 200,
        "Cache": "none",
        "UserId": "1",
    }
    made = gateway("a") | {"Tenant": "t", "DeploymentName": "d", "properties": orjson.dumps(old).decode()}
    (row,) = World([made]).rows(GATEWAY_LOGS)
    for key in old.keys() - {"SubscriptionId", "ServiceTime", "BackendResponseCode"}:
        assert row[key] == old[key], key
    assert row["BackendResponseCode"] == 200  # a text that is a number
    rest = orjson.loads(row["AdditionalProperties"])
    assert rest["properties"] == {"SubscriptionId": "master", "ServiceTime": "3"}
    assert (rest["Tenant"], rest["DeploymentName"]) == ("t", "d")


def test_a_record_of_a_language_model_fills_the_columns() -> None:
    messages = [{"role": "user", "content": "hello"}]
    made = language("a", promptCachedTokens=9, sequenceNumber=1, requestMessages=messages)
    (row,) = World([made]).rows(GATEWAY_LLM_LOG)
    assert (row["ModelName"], row["PromptTokens"], row["TotalTokens"]) == ("gpt-4o", 26, 31)
    assert (row["PromptCachedTokens"], row["SequenceNumber"]) == (9, 1)
    assert orjson.loads(row["RequestMessages"]) == messages


def test_rows_in_the_table_form_are_accepted() -> None:
    row = {
        "TimeGenerated": FRAME["time"],
        "Type": GATEWAY_LOGS.name,
        "CorrelationId": "a",
        "IsRequestSuccess": False,
        "ResponseCode": 404,
        "LastErrorReason": "OperationNotFound",
    }
    (found,) = World([row]).rows(GATEWAY_LOGS)
    assert (found["ResponseCode"], found["LastErrorReason"]) == (404, "OperationNotFound")
    assert found["IsRequestSuccess"] == "false"


def test_secrets_in_headers_urls_and_bodies_are_redacted() -> None:
    secret = "hunter2hunter2"
    (row,) = World(
        [
            gateway(
                "a",
                url=f"https://h/p?subscription-key={secret}",
                requestHeaders={"Authorization": f"Bearer {secret}", "Ocp-Apim-Subscription-Key": secret},
                requestBody=f'{{"password":"{secret}"}}',
                lastError={"message": f"Bearer {secret}", "token": secret},
            )
        ]
    ).rows(GATEWAY_LOGS)
    assert not {name for name, value in row.items() if secret in str(value)}
    assert "[redacted:" in row["RequestHeaders"]


def test_all_tables_share_commits_and_are_audited_and_compacted() -> None:
    sent = [
        [gateway(f"g{at}"), gateway(f"h{at}"), record(at, 0), language(f"l{at}"), {"category": "Other"}]
        for at in range(4)
    ]
    world = World(*sent)
    tables = (RECORDS, GATEWAY_LOGS, GATEWAY_LLM_LOG)
    assert [len(world.rows(table)) for table in tables] == [4, 8, 4]
    assert world.audited() == 0
    counts = world.ledger().counts
    assert counts.tables == {RECORDS.name: 4, GATEWAY_LOGS.name: 8, GATEWAY_LLM_LOG.name: 4}
    assert (counts.rows, counts.skipped) == (16, 4)
    before = {table.name: sorted(row["CorrelationId"] for row in world.rows(table)) for table in tables}
    now = EPOCH + 5 * HOUR
    repair_ledger(world.storage, Ledger.name(PARTITION), Stamp("d" * 32, now))
    ids = (f"{number:032x}" for number in range(5000, 6000))
    policy = CompactionPolicy(categories=categories(), delta=True)
    Compactor(world.storage, policy, lambda: now, lambda: next(ids)).run(60)
    compacted = {name.split("/")[1] for name in world.storage.output if ".compact." in name}
    assert compacted == {table.name for table in tables}
    after = {table.name: sorted(row["CorrelationId"] for row in world.rows(table)) for table in tables}
    assert after == before
    assert world.audited() == 0
    for table in tables:  # each has a Delta log that lists exactly its files
        folder = f"parquet/{table.name}/"
        inside = {
            name.removeprefix(folder): blob.data
            for name, blob in world.storage.output.items()
            if name.startswith(folder) and blob.data is not None
        }
        blobs = {name.removeprefix("_delta_log/"): data for name, data in inside.items()}
        log = delta_reader.read({name: data for name, data in blobs.items() if "/" not in name})
        assert log
        assert {*log.live} == {name for name in inside if name.startswith("date=")}


@pytest.mark.parametrize("table", [GATEWAY_LOGS, GATEWAY_LLM_LOG], ids=lambda table: table.name)
def test_the_audit_detects_a_missing_file_of_any_table(table: Table) -> None:
    world = World([gateway("a"), language("b"), record(0, 0)], [gateway("c")])
    assert world.audited() == 0
    name = next(name for name in world.storage.output if f"/{table.name}/" in name)
    del world.storage.output[name]
    assert world.audited() == 1


def test_columns_of_any_exported_table_are_hashed_and_left_empty() -> None:
    policy = RedactionPolicy(
        hash_columns=("CallerIpAddress",), hash_key=b"k" * 32, drop_columns=("Url", "RequestMessages")
    )
    made = [gateway("a"), gateway("b"), language("c", requestMessages=[{"content": "x"}])]
    world = World(made, redaction=policy)
    first, second = world.rows(GATEWAY_LOGS)
    assert first["CallerIpAddress"] == second["CallerIpAddress"]
    assert re.fullmatch("[0-9a-f]{32}", first["CallerIpAddress"])
    assert (first["Url"], first["ApiId"]) == (None, "chat")
    (row,) = world.rows(GATEWAY_LLM_LOG)
    assert (row["RequestMessages"], row["ModelName"]) == (None, "gpt-4o")


def test_the_settings_accept_only_columns_of_exported_tables() -> None:
    given: dict[str, Any] = {
        "EventHubConnection": "Endpoint=sb://a/;SharedAccessKeyName=n;SharedAccessKey=a2V5",
        "EVENT_HUB_NAME": "hub",
        "EVENT_HUB_CONSUMER_GROUP": "group",
        "OutputStorage": "UseDevelopmentStorage=true",
        "DROP_COLUMNS": "CallerIpAddress,RequestMessages",
    }
    exported = "WebSocketConnectionLogs,GatewayLogs,GatewayLlmLogs"
    assert Settings(**given, EXPORT_CATEGORIES=exported).DROP_COLUMNS == (
        "CallerIpAddress",
        "RequestMessages",
    )
    with pytest.raises(ValueError, match="DROP_COLUMNS: 'RequestMessages' cannot be left empty"):
        Settings(**given, EXPORT_CATEGORIES="GatewayLogs")


def test_secrets_in_messages_of_language_models_are_redacted() -> None:
    secret = "hunter2hunter2"
    messages = [{"role": "user", "content": f"use Bearer {secret}", "password": secret}]
    (row,) = World([language("a", requestMessages=messages)]).rows(GATEWAY_LLM_LOG)
    assert not {name for name, value in row.items() if secret in str(value)}
    assert row["RequestMessages"].count("[redacted:") == 2
