"""With --json, each command prints one document that follows its published schema.

`python -m tests.shared.commands.test_documents` writes the schemas.
"""

from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from local.emulators.event_hubs.process import BrokerProcess
from shared import __main__
from shared.commands.documents import DOCUMENTS, schema
from shared.connections import manifest
from shared.connections.manifest import EventNameCounts, Manifest
from shared.connections.service_activity import ServiceActivity
from shared.timeunits import HOUR
from tests.shared.exported import Exported, envelopes

ROOT = Path(__file__).resolve().parents[3]
SCHEMAS = {command: ROOT / "docs" / "json" / f"{command}.schema.json" for command in DOCUMENTS}
ARGUMENTS = {
    "status": [],
    "audit": [],
    "reconcile": ["--against", str(ROOT / "tests/fixtures/reconcile/export.csv")],
    "replay": ["--dry-run"],
    "redeliver": ["--dry-run"],
    "erase": ["--column", "CorrelationId", "--value", "c-0-0", "--dry-run"],
    "convert": [str(ROOT / "samples" / "PT1H.json")],
    "backfill": ["--dry-run"],
    "cost": [],
}


def published(command: str) -> bytes:
    return orjson.dumps(schema(command), option=orjson.OPT_INDENT_2) + b"\n"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert __main__.main([*arguments, "--json"]) in {0, 1}
    found: dict[str, Any] = orjson.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize("command", DOCUMENTS)
def test_the_published_schemas_are_those_of_the_program(command: str) -> None:
    assert SCHEMAS[command].read_bytes() == published(command), "make schemas"
    Draft202012Validator.check_schema(schema(command))


def test_every_command_with_json_has_a_listed_schema() -> None:
    having = {
        command
        for command in __main__.COMMANDS
        if "--json" in (ROOT / "shared" / "commands" / f"{command.replace('-', '_')}.py").read_text()
    }
    assert having == set(DOCUMENTS) == set(ARGUMENTS)
    page = (ROOT / "docs" / "json.md").read_text()
    assert [name for name in DOCUMENTS if f"| `{name} --json` | [{name}.schema.json](" not in page] == []


@pytest.mark.parametrize("command", DOCUMENTS)
def test_each_command_prints_one_document_of_its_schema(
    command: str,
    exported: Exported,
    broker: BrokerProcess,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    exported.export([*envelopes(0, 9), *envelopes(12, 20)])
    services = {"/service/a": ServiceActivity(newest=HOUR, hours={1: 7})}
    names = {"Opened": EventNameCounts(connections=3)}
    exported.storage.put(manifest.NAME, Manifest(services=services, names=names).dump())
    for name, value in exported.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("EventHubConnection", broker.connection_string)
    monkeypatch.setenv("EVENT_HUB_NAME", "apim-logs")
    more = {
        "convert": ["--output", str(tmp_path / "out")],
        "backfill": ["--from-container", exported.environment["OUTPUT_CONTAINER"]],
    }
    found = printed(capsys, command, *ARGUMENTS[command], *more.get(command, []))
    validator = Draft202012Validator(schema(command))
    assert [error.message for error in validator.iter_errors(found)] == []
    assert found["version"] == 1
    assert {*found} == {*schema(command)["properties"]}  # type: ignore[misc]
    for name in found:
        broken = found | {name: object}
        assert not validator.is_valid(broken), f"any {name} is valid"


if __name__ == "__main__":
    for command, path in SCHEMAS.items():
        path.write_bytes(published(command))
