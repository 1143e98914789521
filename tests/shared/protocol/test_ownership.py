"""An output container belongs to one state container; another app is rejected before it writes."""

import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from local.emulators.azurite import Azurite
from shared.azure import blob_storage
from shared.commands.status_query import status
from shared.errors import LedgerError, OutputConflict
from shared.policies import Connection, FinishPolicy
from shared.protocol import ownership
from shared.protocol.ownership import CHECKED, IDENTITY, MARKER, Ownership
from shared.protocol.storage import Storage
from tests.memory import CountingStorage, MemoryStorage

type Pair = Callable[[], Storage]
"""Makes storage with a separate state container and the same output container."""


@pytest.fixture(params=["memory", "azurite"])
def another(request: pytest.FixtureRequest, unique: str) -> Pair:
    number = itertools.count()
    if request.param == "memory":
        output = MemoryStorage().output

        def in_memory() -> Storage:
            made = MemoryStorage()
            made.output = output
            return made

        return in_memory
    azurite = request.getfixturevalue("azurite")
    connection = Connection(string=azurite.connection_string)

    def create(name: str) -> str:
        with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
            service.create_container(name)
        return name

    output_name = create(f"{unique}-output")
    return lambda: blob_storage.connect(
        connection, connection, create(f"{unique}-{next(number)}"), output_name
    )


def owner(of: Storage, name: str = "account/state", now: Callable[[], int] = lambda: 0) -> Ownership:
    ids = itertools.count(id(of))
    return Ownership(of, name, now, lambda: f"{next(ids):032x}")


def test_only_the_first_state_can_claim_the_output(another: Pair) -> None:
    first, second = another(), another()
    for _ in range(2):
        owner(first, "account/first").check("export_logs")
    other = owner(second, "account/second")
    for function in ("export_logs", "finish_connections", "compact_logs"):
        with pytest.raises(
            OutputConflict, match=r"account/first .* not to account/second .* STATE_CONTAINER"
        ):
            other.check(function)
    assert second.names("") == [IDENTITY]
    assert [one.name for one in second.outputs("")] == [MARKER]


def test_status_reports_why_nothing_is_exported(another: Pair) -> None:
    first, second, new = another(), another(), another()
    assert status(first, FinishPolicy(), None, 0).alarms == []
    owner(first, "account/first").check("export_logs")
    with pytest.raises(OutputConflict):
        owner(second).check("export_logs")
    assert status(first, FinishPolicy(), None, 0).alarms == []
    for other in (second, new):
        (alarm,) = status(other, FinishPolicy(), None, 0).alarms
        assert (
            "nothing is exported: the output container belongs to the state container account/first" in alarm
        )
    assert new.names("") == []


INVOKE = """
import function_app
for one in function_app.app.get_functions():
    name, function = one.get_function_name(), one.get_user_function()
    try:
        function([], None) if name == "export_logs" else function(None)
    except Exception as error:
        print(name, type(error).__name__)
"""


def test_every_function_of_a_second_app_raises_first(azurite: Azurite, unique: str) -> None:
    connection = Connection(string=azurite.connection_string)
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        for name in ("output", "first", "second"):
            service.create_container(f"{unique}-{name}")
    first, second = (
        blob_storage.connect(connection, connection, f"{unique}-{name}", f"{unique}-output")
        for name in ("first", "second")
    )
    owner(first).check("export_logs")
    settings = {
        "EventHubConnection": "Endpoint=sb://localhost/;SharedAccessKeyName=name;SharedAccessKey=a2V5",
        "EVENT_HUB_NAME": "hub",
        "EVENT_HUB_CONSUMER_GROUP": "group",
        "OutputStorage": azurite.connection_string,
        "AzureWebJobsStorage": azurite.connection_string,
        "OUTPUT_CONTAINER": f"{unique}-output",
        "STATE_CONTAINER": f"{unique}-second",
    }
    root = Path(__file__).resolve().parents[3]
    run = subprocess.run(
        [sys.executable, "-c", INVOKE],
        cwd=root,
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(run.stdout.splitlines()) == [
        f"{name} OutputConflict" for name in ("compact_logs", "export_logs", "finish_connections")
    ], run.stderr
    assert second.names("") == [IDENTITY]


def test_a_copied_state_keeps_its_output(another: Pair) -> None:
    first, moved = another(), another()
    owner(first).check("export_logs")
    blob = first.read(IDENTITY)
    assert blob
    moved.put(IDENTITY, blob.data)
    owner(moved).check("export_logs")


def test_processes_that_claim_at_the_same_time_agree_on_one(another: Pair) -> None:
    first, second = another(), another()

    class Late(Ownership):
        """Another app claims the container between this app's check and its claim."""

        def _claim(self, ours: ownership.Identity) -> ownership.Identity:
            owner(second).check("export_logs")
            return super()._claim(ours)

    with pytest.raises(OutputConflict):
        Late(first, "", lambda: 0, lambda: "1" * 32).check("export_logs")
    owner(second).check("export_logs")


def test_a_correct_owner_is_checked_again_after_a_minute() -> None:
    now = [0]
    counting = CountingStorage()
    one = owner(counting, now=lambda: now[0])
    one.check("export_logs")
    before = sum(counting.calls.values())
    one.check("export_logs")
    assert sum(counting.calls.values()) == before
    counting.output[MARKER].data = b'{"state_id": "another"}'
    now[0] = CHECKED
    for _ in range(2):
        with pytest.raises(OutputConflict):
            one.check("export_logs")


@pytest.mark.parametrize("text", [b"", b"{}", b"\xff", b"[]"])
def test_an_unreadable_marker_stops_everything(text: bytes) -> None:
    memory = MemoryStorage()
    owner(memory).check("export_logs")
    memory.output[MARKER].data = text
    with pytest.raises(LedgerError, match=MARKER):
        owner(memory).check("export_logs")
    assert MARKER in (ownership.problem(memory) or "")
