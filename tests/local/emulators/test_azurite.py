from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.storage.blob import BlobServiceClient

from local.emulators.azurite import Azurite, AzuriteError


@pytest.fixture(scope="module")
def azurite() -> Iterator[Azurite]:
    with Azurite() as running:
        yield running


def write(azurite: Azurite, name: str, data: bytes) -> None:
    with BlobServiceClient.from_connection_string(azurite.connection_string, retry_total=0) as service:
        container = service.get_container_client("box")
        if not container.exists():
            container.create_container()
        container.upload_blob(name, data)


def names(azurite: Azurite) -> list[str]:
    with BlobServiceClient.from_connection_string(azurite.connection_string, retry_total=0) as service:
        return list(service.get_container_client("box").list_blob_names())


def test_the_sdk_writes_and_reads_through_the_connection_string(azurite: Azurite) -> None:
    write(azurite, "a", b"1")
    assert names(azurite) == ["a"]


def test_a_taken_port_is_an_error(azurite: Azurite) -> None:
    with pytest.raises(AzuriteError, match=str(azurite.port)):
        Azurite(port=azurite.port).start()


def test_a_second_start_is_an_error(azurite: Azurite) -> None:
    with pytest.raises(AzuriteError, match="already running"):
        azurite.start()


def test_a_folder_survives_a_stop_and_saved_blobs_a_kill(tmp_path: Path) -> None:
    with Azurite(folder=tmp_path) as azurite:
        port = azurite.port
        write(azurite, "a", b"1")
        azurite.stop()
        with pytest.raises(ServiceRequestError):
            names(azurite)
        azurite.start()
        assert azurite.port == port
        assert names(azurite) == ["a"]
        azurite.kill()
        azurite.start()
        assert names(azurite) == ["a"]
