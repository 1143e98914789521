"""The command line works for people and scripts, and its output is what the documentation shows."""

import gzip
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson
import pytest
from azure.eventhub import EventData, EventHubProducerClient
from azure.storage.blob import BlobServiceClient

from local.emulators import child
from local.emulators.azurite import Azurite
from local.emulators.event_hubs.process import BrokerProcess
from local.emulators.waiting import PATIENCE
from shared import __main__, __version__
from shared.audit.audit import UNKNOWN
from shared.azure.checkpoints import CONTAINER, BlobCheckpoints
from shared.azure.event_hub import EventHub
from shared.compaction import compaction_state
from shared.connections import manifest
from shared.connections.manifest import EventNameCounts, Manifest, Totals
from shared.policies import Connection
from tests import documents
from tests.records import PARTITION
from tests.shared.commands.running import ROOT, ran, run
from tests.shared.exported import Exported, envelopes

PAGES = [
    ROOT / "docs" / name for name in ("command-line.md", "audit-and-replay.md", "capture.md", "report.md")
]
COMMANDS = __main__.COMMANDS
ARCHIVE = "insights-logs-websocketconnectionlogs"


@pytest.fixture(scope="module")
def shown_commands(azurite: Azurite) -> Iterator[Mapping[str, str]]:
    """The environment of a container that all commands of the documentation share, including writing ones."""
    one = Exported(azurite, f"docs-{uuid.uuid4().hex[:12]}")
    one.export([*envelopes(0, 9), *envelopes(12, 20)])
    for name in (CONTAINER, ARCHIVE):
        if not one.service.get_container_client(name).exists():
            one.service.create_container(name)
    yield one.environment
    one.close()


def test_status_shows_each_partition(filled: Exported, capsys: pytest.CaptureFixture[str]) -> None:
    status, output = ran(capsys, "status")
    counts = filled.ledger().counts
    hub, _, id_ = str(PARTITION).rpartition("/")
    assert f"\nhub {hub}\n" in output
    progress, counted = (line.split() for line in output.splitlines() if line.startswith(f"{id_} "))
    assert progress[1] == "21"
    assert progress[-4:] == ["-", "-", "-", "-"]
    assert "to query the hub, set EventHubConnection (or" in " ".join(output.split())
    assert "EVENT_HUB_NAME as in the function app" in " ".join(output.split())
    assert counted[1:3] == [str(counts.records), str(counts.rows)]
    assert status == (1 if "is the timer running" in output else 0)


def test_status_audit_and_replay_print_json(filled: Exported, capsys: pytest.CaptureFixture[str]) -> None:
    (partition,) = orjson.loads(ran(capsys, "status", "--json")[1])["partitions"]
    assert partition["ledger"]["counts"] == filled.ledger().counts.model_dump()
    audit = orjson.loads(ran(capsys, "audit", "--json")[1])
    assert (audit["verdict"], audit["partitions"][0]["verdict"]) == ("proven", "proven")
    assert orjson.loads(ran(capsys, "replay", "--dry-run", "--json")[1])["letters"] == 5


def test_status_shows_a_swap_of_compaction(filled: Exported, capsys: pytest.CaptureFixture[str]) -> None:
    assert orjson.loads(ran(capsys, "status", "--json")[1])["swap"] is None
    output = filled.ledger().files[0]
    folder, _, name = output.name.rpartition("/")
    swap = compaction_state.Swap(
        folder=f"{folder}/", inputs=(name,), output=output, began=1_700_000_000_000_000
    )
    filled.storage.put(compaction_state.NAME, compaction_state.CompactionState().beginning(swap).dump())
    status, text = ran(capsys, "status")
    assert status == 1, "it is an alarm, too"
    text = " ".join(text.split())
    assert f"compaction: {folder}/ since 2023-11-14 22:13" in text
    assert f"1 of 1 file is still to be deleted, such as {output.name}" in text
    found = orjson.loads(ran(capsys, "status", "--json")[1])["swap"]
    assert (found["folder"], found["since"], found["left"]) == (f"{folder}/", swap.began, [output.name])
    assert found["waits_for"] in text


def test_status_shows_the_lag_and_uncommitted_partitions(
    filled: Exported,
    broker: BrokerProcess,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = {"Hello": EventNameCounts(connections=3, first=3), "Bye": EventNameCounts(connections=2, last=2)}
    names["\x1b[2J" + "x" * 70] = EventNameCounts()
    filled.storage.put(manifest.NAME, Manifest(totals=Totals(connections=7), names=names).dump())
    monkeypatch.setenv("EventHubConnection", broker.connection_string)
    monkeypatch.setenv("EVENT_HUB_NAME", "apim-logs")
    monkeypatch.setenv("EVENT_HUB_RETENTION", "24:00:00")
    monkeypatch.setenv("WS_CLOSING_EVENTS", "bye")
    string = broker.connection_string
    with EventHubProducerClient.from_connection_string(string, eventhub_name="apim-logs") as producer:
        producer.send_batch([EventData(b"a"), EventData(b"b")], partition_id="1")
    _, output = ran(capsys, "status")
    # With two hubs, full names are shown, and shortened if they do not fit.
    (behind,) = (line.split() for line in output.splitlines() if re.match(r"\S+/1 +- +- +2", line))
    assert float(behind[-1]) == pytest.approx(24, abs=0.1)
    assert "connections: 0 open, 7 finished, 0 rows revised" in output
    assert re.search(r"^Hello +3 +3 +0 +- +neither$", output, re.MULTILINE)
    assert re.search(r"^Bye +2 +0 +2 +- +closing$", output, re.MULTILINE)
    assert re.search(r"^\\u001b\[2Jx+…x+… ", output, re.MULTILINE), "it does nothing to a terminal"
    assert "\x1b" not in output
    found = orjson.loads(ran(capsys, "status", "--json")[1])
    lags = {one["partition"].rpartition("logs/")[2]: one["lag"] for one in found["partitions"]}
    assert (lags["1"]["envelopes"], lags["1"]["records"]) == (2, None)
    assert "set AzureWebJobsStorage (or" in found["unknown"][0], "its checkpoints"
    host = filled.environment["OutputStorage"]
    monkeypatch.setenv("AzureWebJobsStorage", host)
    monkeypatch.setenv("EVENT_HUB_CONSUMER_GROUP", filled.state.container_name)
    with BlobServiceClient.from_connection_string(host) as service:
        if not service.get_container_client(CONTAINER).exists():
            service.create_container(CONTAINER)
    (partition,) = (
        one
        for one in EventHub(Connection(string=string), "apim-logs", "exporter").state().positions
        if one.id == "1"
    )
    BlobCheckpoints(Connection(string=host), filled.state.container_name).write(partition, "100", 4, None)
    found = orjson.loads(ran(capsys, "status", "--json")[1])
    assert found["unknown"] == []
    kept = {one["partition"]: one["checkpoint"] for one in found["partitions"]}
    assert kept.pop(str(partition))["sequence"] == 4
    assert set(kept.values()) == {None}
    monkeypatch.setenv("AzureWebJobsStorage", re.sub("AccountKey=[^;]+", "AccountKey=AAAA", host))
    status, output = ran(capsys, "status", "--json")
    (unknown,) = orjson.loads(output)["unknown"]
    assert (status, unknown.startswith("Checkpoints are unknown: ")) == (UNKNOWN, True)
    broker.stop()
    status, output = ran(capsys, "status")
    assert status == 2
    assert output.startswith("It is unknown whether all is well. Lag is unknown")
    assert "Lag is unknown: event hub 'apim-logs' cannot be queried" in " ".join(output.split())
    assert f"{filled.ledger().counts.rows}" in output.split(), "what is known is shown"


@pytest.mark.parametrize("command", [(), *((one,) for one in COMMANDS)])
def test_help_has_examples_that_parse(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    status, output = ran(capsys, *command, "--help")
    assert status == 0
    joined = output.partition("examples:")[2].replace("\\\n", "")
    examples = re.findall(r"^  python -m shared (.+)$", joined, re.MULTILINE)
    assert examples
    for example in examples:
        if "--help" not in example:
            __main__.parser().parse_args(example.split())


def test_the_version_is_printed_without_importing_what_commands_need() -> None:
    said = run("-c", "import sys, shared.__main__ as m; m.main(['--version']); print(len(sys.modules))")
    line, modules = said.stdout.splitlines()
    assert line.endswith(f" {__version__}")
    assert int(modules) < 200, "pyarrow alone brings several hundred"


@pytest.mark.parametrize("arguments", [["accept-ledger", "--ye"], ["--vers"], ["audit", "--dee"]])
def test_options_are_not_abbreviated(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ran(capsys, *arguments)[0] == 2


def test_a_closed_pipe_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "shared", "schema", "markdown", "--table", "both"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as schema_:
        assert schema_.stdout
        assert schema_.stderr
        schema_.stdout.close()
        assert (schema_.stderr.read(), schema_.wait(60)) == (b"", 141)


@pytest.mark.usefixtures("filled")
def test_an_unwritable_file_is_a_one_line_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    output = tmp_path / "nowhere" / "report.html"
    status, said = ran(capsys, "report", "--since", "3650d", "--output", str(output))
    assert status == 2
    assert said.splitlines()[-1].startswith("error: ")
    assert str(output) in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["audit", "--since", "yesterday"], "expected 1w, 30d, 12h, 90m, 2026-11-20"),
        (["replay", "--reason", "bad_luck"], "invalid choice: 'bad_luck'"),
        (["status", "--watch", "0"], "expected a number of seconds of at least 1"),
        (["accept-ledger", "a", "b"], "unrecognized arguments: b"),
    ],
)
def test_a_wrong_argument_is_named(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, output = ran(capsys, *arguments)
    assert status == 2
    assert says in output


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Makes new processes heed SIGINT, even if the shell that runs the tests ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_watching_repeats_until_stopped(filled: Exported) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "shared", "status", "--watch", "1"],
        cwd=ROOT,
        env=os.environ | filled.environment,
        stdout=subprocess.PIPE,
    ) as watch:
        said = child.said_until(watch, "connections: ", PATIENCE)
        said += child.said_until(watch, "connections: ", PATIENCE)
        watch.send_signal(signal.SIGINT)
        assert watch.wait(PATIENCE) == 130
    assert said.count("\nconnections: ") >= 2, said


SHELL = documents.blocks("sh")
"""Includes marked blocks, in which only the text around the command is not exercised."""
COMMANDS_SHOWN = [
    pytest.param(command.removeprefix("python -m shared "), id=f"{block}: {command}")
    for block in SHELL
    for command in block.commands
    if command.startswith("python -m shared ")
]


@pytest.mark.parametrize("command", COMMANDS_SHOWN)
def test_every_command_in_the_docs_runs(
    command: str,
    shown_commands: Mapping[str, str],
    broker: BrokerProcess,
    azurite: Azurite,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "PT1H.json").write_bytes(b'{"records": []}\n')
    (tmp_path / "PT1H.json.gz").write_bytes(gzip.compress(b'{"records": []}\n'))
    (tmp_path / "export.csv").write_text("TimeGenerated,CorrelationId\n2030-03-17T16:00:00Z,c\n")
    for name in ("export.json", "day.json"):
        (tmp_path / name).write_text('[{"TimeGenerated": "2030-03-17T16:00:00Z", "CorrelationId": "c"}]')
    (tmp_path / "attempts.json").write_text('{"value": []}')
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    monkeypatch.chdir(tmp_path)  # where a report goes
    for name, value in shown_commands.items():
        monkeypatch.setenv(name, value)
    arguments = command.partition(" > ")[0].split()
    if arguments[0] == "accept-ledger":
        arguments = [one.replace("PARTITION", str(PARTITION)) for one in arguments]
    if "--watch" in arguments:
        assert __main__.parser().parse_args(arguments).watch
        return
    if arguments[0] == "capture":
        monkeypatch.setenv("EventHubConnection", broker.connection_string)
        monkeypatch.setenv("EVENT_HUB_NAME", "apim-logs")
        monkeypatch.setenv("EVENT_HUB_CONSUMER_GROUP", "exporter")
        arguments += ["--output", str(tmp_path / "captured"), "--wait", "1"]
    if arguments[0] in {"redeliver", "reset-checkpoint", "finish"}:
        string = broker.connection_string
        monkeypatch.setenv("EventHubConnection", string)
        monkeypatch.setenv("EVENT_HUB_NAME", "apim-logs")
        monkeypatch.setenv("EVENT_HUB_CONSUMER_GROUP", "exporter")
        monkeypatch.setenv("AzureWebJobsStorage", azurite.connection_string)
        with EventHubProducerClient.from_connection_string(string, eventhub_name="apim-logs") as producer:
            producer.send_batch([EventData(b"a")], partition_id="0")
        partition = min(
            EventHub(Connection(string=string), "apim-logs", "exporter").state().positions, key=str
        )
        places = {"PARTITION": str(partition), "4711": "0"}
        arguments = [places.get(one, one) for one in arguments]
    if arguments[0] == "backfill":
        arguments = [ARCHIVE if one.startswith("https://") else one for one in arguments]
    status, output = ran(capsys, *arguments)
    # Nothing was committed of this hub, so redeliver has nothing to report.
    assert status in ({0, 1, 2} if arguments[0] == "redeliver" else {0, 1}), output
    assert "Traceback" not in output


def test_the_docs_show_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    page = "".join(page.read_text() for page in PAGES)
    for command in COMMANDS:
        assert f"python -m shared {command}" in page
        for option in re.findall(r"^  (--[a-z-]+)", ran(capsys, command, "--help")[1], re.MULTILINE):
            assert option in page, f"{command} {option}"
