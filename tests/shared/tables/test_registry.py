"""A category is a declaration: a made-up one is validated, exported, audited, compacted, documented."""

import io
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared import __main__, settings
from shared.audit.audit import Report
from shared.compaction.compactor import Compactor
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.input.rejections import Reason
from shared.protocol.ledger import Ledger
from shared.protocol.publishing import repair_ledger
from shared.protocol.stamp import Stamp
from shared.tables.dialects import markdown
from shared.tables.registry import TABLES, categories, of_categories
from shared.tables.table import TEXT, TIME, Column, Role, Table
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import HOUR, SECOND
from tests import test_docs_schema
from tests.audits import audited
from tests.memory import MemoryStorage
from tests.records import EPOCH, PARTITION, envelope, record

TEN = "2030-03-17T17:46:40Z"
MADE_UP = Table(
    "ApiManagementMadeUpLogs",
    (
        Column("MadeAt", TIME, "When it was made up.", required=True, resource_log=("time",)),
        Column(
            "Name",
            TEXT,
            "What it is called.",
            required=True,
            resource_log=("properties.name", "correlationId"),
        ),
        Column("Size", pa.float64(), "How large it is.", resource_log=("properties.size",)),
        Column("AdditionalProperties", TEXT, "What no other column takes."),
        *RECORDS.of(Role.LINEAGE),
    ),
    time_column="MadeAt",
    sort_key=("Name", "MadeAt", "_SequenceNumber", "_RecordIndex"),
    category="MadeUpLogs",
)


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TABLES, MADE_UP.name, MADE_UP)
    for name, value in {
        "EXPORT_CATEGORIES": "WebSocketConnectionLogs, MadeUpLogs",
        "EventHubConnection__fullyQualifiedNamespace": PARTITION.namespace,
        "EVENT_HUB_NAME": PARTITION.hub,
        "EVENT_HUB_CONSUMER_GROUP": "exporter",
        "OutputStorage__blobServiceUri": "https://account.blob.core.windows.net",
    }.items():
        monkeypatch.setenv(name, value)


def made(name: object, size: object = None) -> dict[str, Any]:
    return {
        "time": TEN,
        "category": "madeUpLogs",
        "properties": {"name": name, "size": size, "color": "red"},
    }


def log(id_: str) -> dict[str, Any]:
    return record(EPOCH, id_, "Opened")


def envelopes(bodies: list[list[dict[str, Any]]]) -> list[Envelope]:
    return [envelope(at, EPOCH + at * SECOND, *found) for at, found in enumerate(bodies)]


BODIES = [
    [made("b", 2), log("one"), made("a", "1.5")],
    [made(None), {"time": TEN, "category": "OtherLogs"}],
    [log("two"), made("c")],
]


class World:
    """An exporter and its storage."""

    def __init__(self) -> None:
        self.storage = MemoryStorage(lambda: EPOCH)
        self.policy = settings.load().export_policy
        self._ids = iter(range(1, 10_000))

    def new_id(self) -> str:
        return f"{next(self._ids):032x}"

    def export(self, sent: list[Envelope]) -> None:
        Exporter(self.storage, self.policy, 1 << 24, lambda: EPOCH, self.new_id).run(PARTITION, sent)

    def rows(self, table: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for name, file in sorted(self.storage.output.items()):
            if name.startswith(f"parquet/{table}/") and file.data is not None:
                found += pq.read_table(io.BytesIO(file.data)).to_pylist()
        return found

    def audit(self) -> Report:
        return audited(self.storage)


def test_a_declared_category_is_validated_exported_and_audited() -> None:
    world = World()
    world.export(envelopes(BODIES))
    rows = world.rows(MADE_UP.name)
    assert [(row["Name"], row["Size"], row["_SequenceNumber"], row["_RecordIndex"]) for row in rows] == [
        ("b", 2.0, 0, 0),
        ("a", 1.5, 0, 2),
        ("c", None, 2, 1),
    ]
    assert {row["AdditionalProperties"] for row in rows} == {'{"properties":{"color":"red"}}'}
    assert [row["CorrelationId"] for row in world.rows(RECORDS.name)] == ["one", "two"]
    (name,) = {name.rpartition("/")[0] for name in world.storage.output if MADE_UP.name in name}
    assert name == f"parquet/{MADE_UP.name}/date=2030-03-17/hour=17"
    report = world.audit()
    assert report.status == 0, report
    counts = report.partitions[0].counts
    assert (counts.records, counts.rows, counts.skipped) == (7, 5, 1)
    assert counts.rejected == {Reason.MISSING_REQUIRED_FIELD: 1}


def test_templates_never_read_records_of_another_category() -> None:
    world = World()
    many = [[log(f"{at}-{n}") for n in range(100)] for at in range(50)]
    alike = log("w") | {"category": "MadeUpLogs"}
    world.export(envelopes([*many, [made("x", n) for n in range(100)], *BODIES, [log("y"), alike], [alike]]))
    found = [(row["Name"], row["Size"]) for row in world.rows(MADE_UP.name)]
    more = [("b", 2.0), ("a", 1.5), ("c", None), ("w", None), ("w", None)]
    assert found == [*(("x", float(n)) for n in range(100)), *more]
    assert len(world.rows(RECORDS.name)) == 5000 + 3
    assert world.audit().status == 0


def test_a_declared_category_is_compacted_in_its_own_order() -> None:
    world = World()
    for sent in envelopes(BODIES):
        world.export([sent])
    before = sorted(world.rows(MADE_UP.name), key=lambda row: row["Name"])
    policy = settings.load().compaction_policy
    now = EPOCH + 5 * HOUR
    repair_ledger(world.storage, Ledger.name(PARTITION), Stamp(world.new_id(), now))
    Compactor(world.storage, policy, lambda: now, world.new_id).run(600)
    names = [name for name, file in world.storage.output.items() if MADE_UP.name in name and file.data]
    assert [name.rpartition(".compact.")[2] for name in names] == ["parquet"]
    assert world.rows(MADE_UP.name) == before
    assert world.audit().status == 0


def test_a_declared_category_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    assert markdown(MADE_UP, "") in test_docs_schema.tables()
    assert __main__.main(["schema", "json-schema", "--table", MADE_UP.name]) == 0
    assert orjson.loads(capsys.readouterr().out)["required"][:2] == ["MadeAt", "Name"]


def test_by_default_it_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXPORT_CATEGORIES")
    world = World()
    world.export(envelopes(BODIES))
    assert world.rows(MADE_UP.name) == []
    assert world.audit().partitions[0].counts.skipped == 5


def test_every_exported_table_can_be_read_by_its_lineage() -> None:
    assert categories() == ("WebSocketConnectionLogs", "GatewayLogs", "GatewayLlmLogs", "MadeUpLogs")
    for table in TABLES.values():
        assert set(table.sort_key) | {table.time_column} <= {c.name for c in table.columns if c.required}
    for table in of_categories(categories()):
        assert table.of(Role.LINEAGE) == RECORDS.of(Role.LINEAGE)
