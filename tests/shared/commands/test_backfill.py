"""`backfill` exports an archive on Azurite once, even if it is interrupted."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas

from local.emulators.waiting import wait_until
from shared import __main__
from shared.azure.archive import connect
from shared.errors import BackfillError
from tests.records import envelope
from tests.shared.backfill.archives import LIVE, POLICY, SERVICES, archive, micros, record
from tests.shared.exported import Exported

ROOT = Path(__file__).resolve().parents[3]
NAME = "insights-logs-of-a-test"


@pytest.fixture
def filled(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> Exported:
    """Live output, and an archive in the same account."""
    opened = record(SERVICES[0], LIVE, "live", "ConnectionOpened")
    exported.export([envelope(0, micros(LIVE), opened)], POLICY)
    container = exported.service.get_container_client(NAME)
    if not container.exists():
        container.create_container()
        for name, data in archive(connections=20).content.items():
            container.upload_blob(name, data)
        container.upload_blob("notes.txt", b"no hour")
    for name, value in exported.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COMMIT_BYTES", str(1 << 20))
    return exported


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    status = __main__.main([*arguments, "--json"])
    return status, orjson.loads(capsys.readouterr().out)


def test_an_archive_is_exported_once_and_audited(
    filled: Exported, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("backfill", "--from-container", NAME)
    files = filled.files()
    status, told = command(capsys, *arguments, "--dry-run")
    assert (status, told["others"], filled.files()) == (0, 1, files)
    status, done = command(capsys, *arguments)
    assert status == 1
    assert done["rejected"] == {"malformed_record": done["blobs"]}
    assert (done["blobs"], done["rows"]) == (told["blobs"], done["records"] - done["blobs"])
    files = filled.files()
    status, again = command(capsys, *arguments)
    assert (status, again["blobs"], again["before"], filled.files()) == (0, 0, done["blobs"], files)
    status, found = command(capsys, "audit", "--deep")
    assert status == 0, found
    assert __main__.main(arguments) == 0
    assert "of the hour in which the live output begins" in capsys.readouterr().out


def test_a_killed_process_loses_and_duplicates_nothing(
    filled: Exported, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("backfill", "--from-container", NAME)
    for _ in range(2):
        before = len(filled.files())
        with subprocess.Popen(
            [sys.executable, "-m", "shared", *arguments], cwd=ROOT, stdout=subprocess.DEVNULL, env=os.environ
        ) as process:
            try:
                wait_until(
                    lambda: len(filled.files()) >= before + 3,  # noqa: B023 - it is called at once
                    f"3 files in addition to {before}",
                    seen=lambda: len(filled.files()),
                    hopeless=lambda: "" if process.poll() is None else "it has ended",
                    pause=0.02,
                )
            finally:
                process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    status, done = command(capsys, *arguments)
    assert (status, done["alarms"]) == (1, [])
    assert done["before"] > 0
    status, found = command(capsys, "audit", "--deep")
    assert status == 0, found
    rows = sum(one["rows"] for one in found["partitions"] if one["partition"].startswith("archive/"))
    lines = [
        line
        for name, data in archive(connections=20).content.items()
        for line in data.split(b"\n")[:-1]
        if any(f"/d={hour:%d}/h={hour:%H}/" in name for hour in hours())
    ]
    assert rows == len(lines)


def hours() -> list[datetime]:
    return [LIVE.replace(minute=0) - timedelta(hours=number) for number in range(1, 10)]


def test_an_archive_is_found_by_its_url(filled: Exported) -> None:
    account = filled.service
    sas = generate_container_sas(
        str(account.account_name),
        NAME,
        account_key=account.credential.account_key,
        permission=ContainerSasPermissions(read=True, list=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    source = connect(f"{account.get_container_client(NAME).url}?{sas}", filled.connection)
    found = {blob.name: blob.size for blob in source.blobs()}
    name, data = next(iter(archive(connections=20).content.items()))
    assert found[name] == len(data)
    assert b"".join(source.chunks(name)) == data


def test_a_missing_archive_is_named(filled: Exported) -> None:
    with pytest.raises(BackfillError, match=r"cannot read nowhere in .*Check the name"):
        list(connect("nowhere", filled.connection).blobs())
