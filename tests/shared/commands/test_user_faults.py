"""Each fault that users can cause gives the right exit status and one line, without a traceback."""

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from local.emulators.azurite import Azurite
from local.emulators.event_hubs.process import BrokerProcess
from shared import __main__
from shared.azure.checkpoints import CONTAINER
from tests.records import PARTITION
from tests.shared.exported import Exported, envelopes

STORAGE = (
    *("status", "audit", "delta", "replay", "redeliver", "accept-ledger", "finish", "compact", "erase"),
    "report",
)
"""Commands that need the containers."""
HUB = ("redeliver", "reset-checkpoint", "finish", "capture")
"""Commands that need the hub."""
ASKING = ("redeliver", "reset-checkpoint", "capture")
"""Commands that can do nothing if the hub does not answer."""
NEITHER = ("schema", "convert", "cost", "completion")
COMPARING = ("reconcile", "backfill")
"""Commands that also need files; other tests run them without a fault."""
NEEDED: dict[str, list[str]] = {
    "capture": ["--group", "tools", "--wait", "1", "--output", "captured"],
    "completion": ["bash"],
    "convert": ["PT1H.json", "--output", "converted"],
    "reconcile": ["--against", "full/file"],
    "backfill": ["--from-container", "archive"],
    "erase": ["--column", "Source", "--value", "203.0.113.7", "--yes"],
}
"""Required arguments of commands."""
KEY = "AccountKey=a2V5"
REFUSED = f"DefaultEndpointsProtocol=http;AccountName=a;{KEY};BlobEndpoint=http://127.0.0.1:9/a"


@dataclass(frozen=True)
class Fault:
    """A mistake of a user."""

    commands: tuple[str, ...]
    settings: Mapping[str, str] = field(default_factory=dict)
    """The wrong settings."""
    arguments: tuple[str, ...] = ()
    """The wrong arguments."""
    says: str = ""
    """A pattern that the error must match."""
    alone: bool = False
    """Whether the command gets no other arguments."""


FAULTS = {
    "no settings of storage": Fault(
        STORAGE, {"OutputStorage": ""}, says="OutputStorage: set it to a connection"
    ),
    "connection string that is none": Fault(STORAGE, {"OutputStorage": "AccountName"}, says="OutputStorage"),
    "connection string with a wrong key": Fault(
        STORAGE,
        {"OutputStorage": "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=*;EndpointSuffix=x"},
        says="OutputStorage",
    ),
    "port that refuses": Fault(STORAGE, {"OutputStorage": REFUSED}, says=r"127\.0\.0\.1:9.*OutputStorage"),
    "host that is not there": Fault(
        STORAGE, {"OutputStorage": REFUSED.replace("127.0.0.1:9", "no.invalid")}, says=r"no\.invalid"
    ),
    "container that is not there": Fault(
        STORAGE, {"OUTPUT_CONTAINER": "not-there"}, says="'not-there' does not exist.*OUTPUT_CONTAINER"
    ),
    "state that is not there": Fault(
        STORAGE, {"STATE_CONTAINER": "not-there"}, says="'not-there' does not exist.*STATE_CONTAINER"
    ),
    "setting out of its range": Fault((*STORAGE, *HUB), {"WS_GRACE": "90"}, says="WS_GRACE"),
    "no settings of the hub": Fault(
        HUB, {"EVENT_HUB_NAME": "", "EventHubConnection": ""}, says="EVENT_HUB_NAME"
    ),
    "hub that refuses": Fault(
        ASKING,
        {
            "EventHubConnection": "Endpoint=sb://127.0.0.1:9/;SharedAccessKeyName=a;SharedAccessKey=a2V5;"
            "UseDevelopmentEmulator=true"
        },
        says="apim-logs",
    ),
    "hub whose string is none": Fault(HUB, {"EventHubConnection": "Endpoint"}, says="EventHubConnection"),
    "hub that is not there": Fault(ASKING, {"EVENT_HUB_NAME": "other"}, says="other"),
    "option that is not there": Fault(
        tuple(__main__.COMMANDS), arguments=("--nope",), says=r"--nope \(see python -m shared [a-z-]+ --help"
    ),
    "time that is none": Fault(
        ("audit", "replay", "report"), arguments=("--since", "yesterday"), says="expected 1w, 30d"
    ),
    "age of nothing": Fault(
        ("audit", "replay", "erase", "backfill", "report", "reconcile"),
        arguments=("--since", "0d"),
        says="--since: expected 1w, 30d.*got '0d'",
    ),
    "time to come": Fault(
        ("audit", "replay", "erase", "backfill"), arguments=("--since", "9999-01-01"), says="in the past"
    ),
    "archive that is not there": Fault(
        ("backfill",),
        arguments=("--from-container", "not-there"),
        says="Container 'not-there' does not exist in 127.*: check --from-container",
    ),
    "archive whose name is none": Fault(
        ("backfill",),
        arguments=("--from-container", "Not_there"),
        says="No container can be named 'Not_there'",
    ),
    "archive whose address is none": Fault(
        ("backfill",),
        arguments=("--from-container", "http://a/b"),
        says="--from-container: expected the name of a container, or an address .*got 'http://a/b'",
    ),
    "archive without a sign-in": Fault(
        ("backfill",),
        arguments=("--from-container", "https://no.invalid/archive"),
        says="run `az login`, or add a SAS token to --from-container",
    ),
    "archive that refuses": Fault(
        ("backfill",),
        arguments=("--from-container", "http://127.0.0.1:9/a/archive?sig=x"),
        says=r"Cannot connect to 127\.0\.0\.1:9: check the network and --from-container",
    ),
    "range that ends before it begins": Fault(
        ("replay", "backfill", "report", "reconcile"),
        arguments=("--since", "1d", "--until", "2d"),
        says="--since must be before --until",
    ),
    "sequence number that is none": Fault(
        ("reset-checkpoint",), arguments=("--after", "x"), says="expected a sequence number, got 'x'"
    ),
    "sequence number of no partition": Fault(
        ("reset-checkpoint",), arguments=("--after", "5"), says="--after needs a PARTITION"
    ),
    "column that is not there": Fault(
        ("erase",), arguments=("--column", "source"), says=r"'source'; did you mean Source\? "
    ),
    "address that is none": Fault(
        STORAGE, {"OutputStorage__blobServiceUri": "account"}, says="must be an address such as https://"
    ),
    "container whose name is none": Fault(
        STORAGE, {"OUTPUT_CONTAINER": "My_logs"}, says="OUTPUT_CONTAINER: must have 3 to 63 lower-case"
    ),
    "partition that is not there": Fault(
        ("accept-ledger", "redeliver", "reset-checkpoint"),
        arguments=("no/such/0",),
        says=r"no/such/0: there is no such partition; partitions: \S+/0",
    ),
    "output that cannot be written": Fault(
        ("report",), arguments=("--output", "file/report.html"), says="file/report.html"
    ),
    "output in a file": Fault(("convert", "capture"), arguments=("--output", "file"), says="file"),
    "output that is there": Fault(("convert", "capture"), arguments=("--output", "full"), says="full"),
    "copy that is not there": Fault(("report",), arguments=("--folder", "nowhere"), says="nowhere"),
    "prices that are not there": Fault(("cost",), arguments=("--prices", "nowhere"), says="nowhere"),
    "prices that are none": Fault(("cost",), arguments=("--prices", "file"), says="file"),
    "number that is none": Fault(("cost",), arguments=("--records-per-day", "many"), says="many"),
    "input that is not there": Fault(
        ("convert",), arguments=("nowhere.json", "--output", "x"), says="nowhere.json", alone=True
    ),
    "input that is a folder": Fault(
        ("convert",), arguments=("full", "--output", "x"), says="full", alone=True
    ),
    "table that is not there": Fault(("schema",), arguments=("--table", "mine"), says="mine"),
    "shell that is not there": Fault(("completion",), arguments=("fish!",), says="fish!", alone=True),
    "export that is not there": Fault(("reconcile",), arguments=("--against", "nowhere"), says="nowhere"),
    "group of the exporter": Fault(("capture",), arguments=("--group", "exporter"), says="exporter"),
}
CASES = [
    pytest.param(command, fault, id=f"{command}: {name}")
    for name, fault in FAULTS.items()
    for command in fault.commands
]
type Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with BrokerProcess(
        tmp_path_factory.mktemp("hub"), {"apim-logs": 2}, groups=["exporter", "operator", "tools"]
    ) as running:
        yield running


@pytest.fixture(scope="module")
def filled(azurite: Azurite) -> Iterator[Exported]:
    """A container that no test changes."""
    one = Exported(azurite, f"faults-{uuid.uuid4().hex[:12]}")
    one.export(envelopes(0, 3))
    if not one.service.get_container_client(CONTAINER).exists():
        one.service.create_container(CONTAINER)
    yield one
    one.close()


@pytest.fixture
def run(
    filled: Exported,
    azurite: Azurite,
    hub: BrokerProcess,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Run:
    """Runs a command in a folder with some files, with valid settings except for these."""
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("{}")
    Path("full").mkdir()
    Path("full", "file").write_text("{}")
    Path("PT1H.json").write_text('{"records": []}\n')
    good = filled.environment | {
        "EventHubConnection": hub.connection_string,
        "EVENT_HUB_NAME": "apim-logs",
        "EVENT_HUB_CONSUMER_GROUP": "exporter",
        "AzureWebJobsStorage": azurite.connection_string,
    }

    def running(*arguments: str, **settings: str) -> tuple[int, str, str]:
        for name, value in (good | settings).items():
            monkeypatch.setenv(name, value)
        try:
            status = __main__.main(arguments)
        except SystemExit as stop:  # argparse
            status = int(stop.code or 0)
        return status, *capsys.readouterr()

    return running


@pytest.mark.parametrize(("command", "fault"), CASES)
def test_a_mistake_of_the_user_is_a_one_line_error(command: str, fault: Fault, run: Run) -> None:
    given = [*([] if fault.alone else NEEDED.get(command, [])), *fault.arguments]
    status, output, error = run(command, *given, **fault.settings)
    assert (status, output) == (2, "")
    *_, last = error.splitlines()
    assert re.sub("waiting for .*\n", "", error).count("\n") == 1
    assert re.match(r"(python -m shared( [a-z-]+)?: )?error: ", last)
    assert re.search(fault.says, last), last
    assert "Traceback" not in error


@pytest.mark.parametrize(("command", "expected"), [("status", 2), ("finish", 1)])
def test_some_commands_work_without_the_hub(command: str, expected: int, run: Run) -> None:
    status, output, error = run(command, EVENT_HUB_NAME="other")
    assert (status, error) == (expected, "")
    assert re.search("hub did not answer|Lag is unknown", output)


@pytest.mark.parametrize("command", ["status", "audit", "accept-ledger", "finish", "compact", "redeliver"])
@pytest.mark.parametrize("name", ["manifest.json", "compaction.json", "ledger"])
def test_a_damaged_state_prints_no_traceback(command: str, name: str, run: Run, exported: Exported) -> None:
    exported.export(envelopes(0, 3))
    exported.storage.put(exported.ledger_name if name == "ledger" else name, b"{")
    status, output, error = run(command, **exported.environment)
    assert status in {0, 1, 2}
    assert "Traceback" not in output + error
    if status == 2 and not output:
        assert error.startswith("error: ")
    if command == "status":
        assert status, "it says that something is wrong"


def test_a_command_that_is_misspelled_is_suggested(run: Run) -> None:
    status, _, error = run("statu")
    assert (status, error.count("\n")) == (2, 1)
    assert "invalid choice: 'statu'; did you mean status?" in error


def test_a_command_that_deletes_logs_asks_first(run: Run) -> None:
    for option in ("--rebuild", "--remove"):
        status, output, _ = run("delta", option)
        assert status == 1
        assert "This deletes the Delta logs" in output
        assert output.endswith("Nothing was changed: add --yes to make the change.\n")
    status, output, _ = run("delta", "--remove", "--yes")
    assert (status, output.splitlines()[-1]) == (0, "No table has a Delta log")


def test_an_id_alone_names_a_partition(run: Run) -> None:
    status, output, _ = run("accept-ledger", "0")
    assert (status, output.startswith(f"{PARTITION}: there is nothing to accept")) == (0, True)


def test_each_command_is_tested_with_and_without_a_mistake(run: Run) -> None:
    assert {command for fault in FAULTS.values() for command in fault.commands} == set(__main__.COMMANDS)
    assert {*STORAGE, *HUB, *NEITHER, *COMPARING} == set(__main__.COMMANDS)
    for command in {*__main__.COMMANDS} - {*COMPARING}:
        status, _, error = run(command, *NEEDED.get(command, []))
        assert (command, status in {0, 1}, error) == (command, True, "")
