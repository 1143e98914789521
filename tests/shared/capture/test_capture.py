"""`python -m shared capture` saves envelopes with the real SDK, and disturbs no other reader."""

import gzip
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest
from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient

from local.emulators.event_hubs.process import BrokerProcess
from local.emulators.waiting import wait_until
from shared import __main__
from shared.capture.capture import Capture, Wanted, write
from shared.capture.masking import Masks
from shared.input.envelope import Envelope
from shared.timeunits import DAY
from tests.shared.capture.test_masking import GUID, LOG
from tests.shared.input.test_validation import become_what_is_expected

HUB = "apim-logs"
NOW = time.strftime("%Y-%m-%dT%H:%M:%S.1234567Z", time.gmtime())
OURS = orjson.dumps({"records": [LOG | {"time": NOW}] * 3})
FOREIGN = orjson.dumps({"records": [{"category": "GatewayLogs", "url": "https://contoso.com"}]})
TABLE = orjson.dumps({"Type": "ApiManagementWebSocketConnectionLogs", "TimeGenerated": NOW})
MISSING = orjson.dumps(
    {"records": [{"category": "websocketconnectionlogs", "x": "alice.smith", "error": "\x1b[2J"}, 1]}
)
SECRETS = ("contoso", GUID, "alice", "203.0.113.77", "rg-prod")


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BrokerProcess]:
    with BrokerProcess(tmp_path / "hub", {HUB: 2}, groups=["exporter", "tools"]) as running:
        monkeypatch.setenv("EventHubConnection", running.connection_string)
        monkeypatch.setenv("EVENT_HUB_NAME", HUB)
        monkeypatch.setenv("EVENT_HUB_CONSUMER_GROUP", "exporter")
        yield running


def send(broker: BrokerProcess, *bodies: bytes, partition: str = "0") -> None:
    string = broker.connection_string
    with EventHubProducerClient.from_connection_string(string, eventhub_name=HUB) as producer:
        producer.send_batch([EventData(body) for body in bodies], partition_id=partition)


def capture(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    try:
        status = __main__.main(("capture", *arguments))
    except SystemExit as stop:
        status = int(stop.code or 0)
    captured = capsys.readouterr()
    return status, captured.out + captured.err


def loaded(folder: Path) -> dict[str, Any]:
    """Returns the expectation of each file, after checking that the file meets it."""
    expected: dict[str, Any] = orjson.loads((folder / "expected.json").read_bytes())
    assert {path.name for path in folder.iterdir()} == {"expected.json", *expected}
    for name, one in expected.items():
        become_what_is_expected(folder / name, one)
    return expected


def texts(folder: Path) -> str:
    files = [path.read_bytes() for path in folder.iterdir()]
    return "".join(
        (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode() for data in files
    ).lower()


def test_masked_envelopes_are_saved_as_fixtures_that_tests_load(
    broker: BrokerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    send(broker, OURS, FOREIGN, b"{", gzip.compress(OURS))
    send(broker, b"\xef\xbb\xbf" + MISSING, TABLE, partition="1")
    folder = tmp_path / "captured"
    # They include the last envelope of each partition.
    status, output = capture(
        capsys, "--group", "tools", "--envelopes", "4", "--wait", "240", "--output", str(folder)
    )
    assert status == 0, output
    expected = loaded(folder)
    assert sorted(len(one["rows"]) for one in expected.values()) == [0, 0, 3, 3]
    assert sorted(len(one["rejections"]) for one in expected.values()) == [0, 0, 1, 2]
    assert sorted(name.partition(".")[2] for name in expected) == ["json", "json", "json", "json.gz"]
    assert "2 envelopes left out: no record of WebSocketConnectionLogs" in output
    assert "4 envelopes with 8 records of the category" in output
    assert "eventname: ConnectionClosed (6)" in output
    assert "keys that are not documented: x" in output
    assert "\\u001b[" in output
    assert "\x1b" not in output, "a record's text does nothing to a terminal"
    for secret in SECRETS:
        assert secret not in texts(folder)
        assert secret not in output.lower()
    names = {row["CorrelationId"] for one in expected.values() for row in one["rows"]}
    assert len(names) == 1, "the same id in two envelopes"


def test_all_captures_and_masks_every_envelope(
    broker: BrokerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    send(broker, gzip.compress(OURS)[:50], OURS, FOREIGN, b'{"records": [{"user": "alice')
    folder = tmp_path / "all"
    options = ("--group", "tools", "--from", "beginning", "--all", "--envelopes", "3", "--wait", "240")
    status, output = capture(capsys, *options, "--output", str(folder))
    assert status == 0, output
    assert [*loaded(folder)] == ["001.json", "002.json", "003.txt", "expected.json"][:3]
    assert "1 envelope left out: cannot be decompressed, and so cannot be masked" in output
    assert not any(secret in texts(folder) for secret in SECRETS)


def test_a_capture_ends_at_its_maximum(
    broker: BrokerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    send(broker, *[OURS] * 9)
    began = time.monotonic()
    for number, options in enumerate((["--envelopes", "2"], ["--records", "4"])):
        folder = tmp_path / str(number)
        more = ["--from", "1h", "--wait", "150", "--output", str(folder), *options]
        assert capture(capsys, "--group", "tools", *more)[0] == 0
        assert len(loaded(folder)) == 2
    assert time.monotonic() - began < 150


def test_latest_captures_only_new_events(
    broker: BrokerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    send(broker, OURS)
    folder = tmp_path / "latest"
    options = ("--group", "tools", "--from", "latest", "--output", str(folder))
    status, output = capture(capsys, *options, "--wait", "2")
    assert (status, output[:35]) == (1, "Nothing was saved in 2 s: try --fro")
    saved = threading.Event()

    def keep_sending() -> None:
        while not saved.wait(1):
            send(broker, OURS, OURS)

    with ThreadPoolExecutor(1) as pool:
        # The time at which it starts reading is unknown.
        sending = pool.submit(keep_sending)
        try:
            assert capture(capsys, *options, "--wait", "240", "--envelopes", "2")[0] == 0
        finally:
            saved.set()
        sending.result()
    assert len(loaded(folder)) == 2


def test_times_shift_together(
    broker: BrokerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    send(broker, OURS)
    folder = tmp_path / "shifted"
    options = ("--group", "tools", "--shift-times", "--envelopes", "1", "--output", str(folder))
    assert capture(capsys, *options)[0] == 0
    (one,) = loaded(folder).values()
    assert len(one["rows"]) == 3, "as plausible as before"
    assert NOW[:10] not in texts(folder)
    assert NOW[10:19].lower() in texts(folder)
    assert one["enqueued"] < (time.time() - 80_000) * 1_000_000


def test_a_capture_does_not_disturb_the_exporter(
    broker: BrokerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ("--output", str(tmp_path / "out"))
    status, output = capture(capsys, "--group", "Exporter", *folder)
    assert status == 2
    assert re.fullmatch(r"error: --group Exporter is the exporter's.*--exporters-group\n", output)
    seen: list[int] = []
    string = broker.connection_string
    with EventHubConsumerClient.from_connection_string(string, "exporter", eventhub_name=HUB) as exporter:

        def received(_: Any, event: Any) -> None:
            seen.append(event.sequence_number)

        reading = {"owner_level": 0, "starting_position": "-1", "partition_id": "0"}
        thread = threading.Thread(target=exporter.receive, args=(received,), kwargs=reading, daemon=True)
        thread.start()
        send(broker, OURS)
        wait_for(seen, 1)
        assert capture(capsys, "--group", "tools", "--envelopes", "1", *folder)[0] == 0
        # Even in the exporter's group, the owner keeps its partition, and the reader is disconnected.
        status, output = capture(
            capsys, "--group", "exporter", "--exporters-group", "--output", str(tmp_path / "no")
        )
        assert (status, len(output.splitlines())) == (2, 1)
        assert "event hub 'apim-logs' cannot be read in consumer group exporter" in output
        send(broker, OURS)
        wait_for(seen, 2)
    thread.join(60)
    assert seen == [0, 1]
    monkeypatch.delenv("EVENT_HUB_CONSUMER_GROUP")
    status, output = capture(capsys, "--group", "tools", *folder)
    assert status == 2
    assert "EVENT_HUB_CONSUMER_GROUP: set it" in output


def wait_for(seen: list[int], number: int) -> None:
    wait_until(lambda: len(seen) >= number, f"{number} events", seen=lambda: list(seen))


def test_existing_files_are_not_overwritten(
    broker: BrokerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert broker.pid
    (tmp_path / "file").touch()
    status, output = capture(capsys, "--group", "tools", "--output", str(tmp_path))
    assert (status, len(output.splitlines())) == (2, 1)
    assert "is not empty" in output
    status, output = capture(capsys, "--group", "tools", "--output", str(tmp_path / "file"))
    assert (status, len(output.splitlines())) == (2, 1)
    assert "cannot be written to" in output
    monkeypatch.delenv("EventHubConnection")
    status, output = capture(capsys, "--group", "tools", "--output", str(tmp_path / "new"))
    assert status == 2
    assert "no hub is configured: set EventHubConnection (or" in output


@pytest.mark.usefixtures("broker")
def test_a_missing_group_is_a_one_line_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, output = capture(capsys, "--group", "nobody", "--output", str(tmp_path / "out"))
    assert (status, len(output.splitlines())) == (2, 1)
    assert output.startswith("error: event hub 'apim-logs' cannot be read in consumer group nobody: ")


def test_captured_envelopes_have_the_format_of_fixtures(tmp_path: Path) -> None:
    one = Capture(Wanted(9), Masks(b"secret"))
    enqueued = int(time.time() * 1_000_000)
    lines = orjson.dumps(LOG | {"time": NOW}) + b"\n" + orjson.dumps(LOG | {"time": NOW})
    assert one.take(Envelope(1, enqueued, lines))
    write(tmp_path, one.taken)
    assert [*loaded(tmp_path)] == ["001.jsonl"]


def test_a_capture_counts_the_envelopes_that_it_leaves_out() -> None:
    capture = Capture(Wanted(2, records=7), Masks(b"secret"), days=3)
    bodies = [FOREIGN, gzip.compress(OURS)[:50], OURS, b"{", FOREIGN, OURS]
    envelopes = [Envelope(number, 10 * DAY, body) for number, body in enumerate(bodies)]
    assert [capture.take(one) for one in envelopes] == [True] * 5 + [False]
    assert ([one.sequence for one in capture.taken], capture.records) == ([2, 5], 6)
    assert {one.enqueued for one in capture.taken} == {7 * DAY}
    assert list(capture.left.values()) == [3, 1]
    assert not capture.take(envelopes[2])
    assert len(capture.taken) == 2
    limited = Capture(Wanted(9, records=3, everything=True), Masks(b"secret"))
    assert [limited.take(one) for one in envelopes] == [True, True, False, False, False, False]
    assert ([one.sequence for one in limited.taken], limited.records) == ([0, 2], 3)
