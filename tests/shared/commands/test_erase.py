"""`erase` works on Azurite, with dead letters in a separate container."""

import gzip
import io
import uuid
from collections import Counter
from datetime import timedelta
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from azure.storage.blob import ContainerClient

from shared import __main__
from shared.azure import blob_storage
from shared.connections.timer import Finisher
from shared.export.exporter import Exporter
from shared.policies import FinishPolicy
from shared.timeunits import SECOND
from tests.memory import StillHub
from tests.records import EPOCH, LATER, PARTITION
from tests.shared.erasure import made
from tests.shared.erasure.made import HER, HIM
from tests.shared.exported import Exported

PREFIXES = {
    f"{format_}/ApiManagementWebSocketConnection{table}"
    for format_ in ("parquet", "json")
    for table in ("Logs", "Revisions")
}


@pytest.fixture
def filled(exported: Exported, unique: str, monkeypatch: pytest.MonkeyPatch) -> Exported:
    letters = exported.service.create_container(f"{unique}-letters")
    exported.storage = blob_storage.connect(
        exported.connection,
        exported.connection,
        f"{unique}-state",
        f"{unique}-output",
        dead_letter_container=letters.container_name,
    )
    environment = exported.environment | {
        "DEAD_LETTER_CONTAINER": letters.container_name,
        "OUTPUT_FORMATS": "parquet,json",
        "EVENT_HUB_RETENTION": "7d",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    now = EPOCH + 60 * SECOND  # years ahead of the command's clock

    def tick() -> int:
        nonlocal now
        now += SECOND
        return now

    def new_id() -> str:
        return uuid.uuid4().hex

    exporter = Exporter(exported.storage, made.EXPORTING, 1 << 24, tick, new_id)
    policy = FinishPolicy(formats=made.BOTH, closing=(), idle=timedelta(seconds=1))
    for first in (0, 10):
        exporter.run(PARTITION, [made.envelope(number) for number in range(first, first + 10)])
        for _ in range(2):
            assert Finisher(exported.storage, StillHub(), policy, tick, new_id).run(60).complete
            now += 300 * SECOND
    return exported


def sources(container: ContainerClient) -> Counter[tuple[str, str | None]]:
    """Counts the rows of each table by source."""
    found: Counter[tuple[str, str | None]] = Counter()
    for name in container.list_blob_names():
        if not name.startswith(("parquet/", "json/")):
            continue
        data = container.download_blob(name).readall()
        rows = (
            pq.read_table(io.BytesIO(data)).to_pylist()
            if name.endswith(".parquet")
            else [orjson.loads(line) for line in gzip.decompress(data).splitlines()]
        )
        found.update(("/".join(name.split("/")[:2]), row["Source"]) for row in rows)
    return found


def ran(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = __main__.main(arguments)
    return status, capsys.readouterr().out


def ran_with_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    status, output = ran(capsys, *arguments, "--json")
    assert status == 0, output
    assert HIM not in output, "values do not belong in logs"
    found: dict[str, Any] = orjson.loads(output)
    return found


@pytest.mark.long
def test_erase_asks_erases_reports_and_leaves_a_proven_container(
    filled: Exported, unique: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sources(filled.output)
    asked = ("erase", "--column", "Source", "--value", HIM)
    # By the current clock, all files are from the future, and thus too young.
    status, output = ran(capsys, *asked, "--yes")
    assert status == 1
    assert "cannot be replaced now" in output
    assert "run it again after" in output
    status, output = ran(capsys, *asked, "--yes", "--json")
    assert status == 1
    assert orjson.loads(output)["run_again"] > EPOCH
    assert sources(filled.output) == before

    later = LATER
    monkeypatch.setattr("shared.commands.erase.now", lambda: later)
    status, output = ran(capsys, *asked, "--dry-run")
    assert status == 0
    for prefix in PREFIXES:
        assert f"{prefix}  " in output
    assert "dead letters " in output
    assert "soft delete" in output
    assert "until 2030-03-24" in output
    status, output = ran(capsys, *asked)
    assert (status, "add --yes" in output) == (1, True)
    with pytest.raises(SystemExit):
        ran(capsys, *asked, "--json")
    found = ran_with_json(capsys, *asked, "--dry-run")
    assert (found["dry_run"], found["erased"], found["problems"]) == (True, False, [])
    assert sources(filled.output) == before

    done = ran_with_json(capsys, *asked, "--yes")
    assert (done["dry_run"], done["erased"], done["problems"]) == (False, True, [])
    his = {prefix: rows for (prefix, source), rows in before.items() if source == HIM}
    assert found["rows"] == done["rows"] == his | {"_dead_letters": 2}
    assert {one["place"] for one in done["remains"]} >= {"soft_delete", "event_hub", "archive", "state"}
    after = sources(filled.output)
    assert {prefix for prefix, _ in after} == PREFIXES
    assert after == Counter({key: rows for key, rows in before.items() if key[1] == HER})
    letters = filled.service.get_container_client(f"{unique}-letters")
    lines = [
        line
        for name in letters.list_blob_names()
        for line in gzip.decompress(letters.download_blob(name).readall()).splitlines()
    ]
    assert len(lines) == 4
    assert not [line for line in lines if f'"{HIM}\\"'.encode() in line]
    assert sum(b'"erased":true' in line for line in lines) == 2
    assert ran(capsys, "audit", "--deep")[0] == 0
    status, output = ran(capsys, "replay", "--dry-run")
    assert "2 cannot be replayed" in output
    status, output = ran(capsys, *asked, "--yes")
    assert (status, "nothing to erase" in output) == (0, True)


def test_a_hash_needs_its_key(filled: Exported, capsys: pytest.CaptureFixture[str]) -> None:
    assert filled
    assert __main__.main(["erase", "--column", "Source", "--value", HIM, "--hash"]) == 2
    assert "HASH_KEY" in capsys.readouterr().err
