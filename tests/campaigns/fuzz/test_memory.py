"""What arrives bounds what is held: 256 envelopes of the largest size fit into 700 MB."""

import subprocess
import sys
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient

from local.emulators.azurite import Azurite

ROOT = Path(__file__).resolve().parents[3]
MOST = 700


@pytest.mark.parametrize("kind", ["records", "wide"])
def test_256_envelopes_of_1_mb_take_less_than_700_mb(kind: str, azurite: Azurite, unique: str) -> None:
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        service.create_container(unique)
    run = subprocess.run(
        [sys.executable, "-m", "tests.campaigns.fuzz.footprint", kind, azurite.connection_string, unique],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(run.stdout) < MOST
