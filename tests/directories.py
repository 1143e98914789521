"""Blob Storage that lists directories, as an account with a hierarchical namespace does."""

from collections.abc import Mapping

from azure.storage.blob import BlobServiceClient, ContainerClient

from local.emulators.azurite import Azurite
from shared.azure.blob_storage import BlobStorage


class WithDirectories(BlobStorage):
    """Puts an empty blob in the place of each directory, with the metadata that such accounts list."""

    def write(self, name: str, data: bytes, etag: str | None) -> str:
        """See Storage."""
        self._mark(self._state, name)
        return super().write(name, data, etag)

    def put(self, name: str, data: bytes) -> None:
        """See Storage."""
        self._mark(self._state, name)
        super().put(name, data)

    def stage_block(self, name: str, block_id: str, data: bytes) -> None:
        """See Storage."""
        self._mark(self._output, name)
        super().stage_block(name, block_id, data)

    def put_output(self, name: str, data: bytes, metadata: Mapping[str, str], *, replace: bool) -> None:
        """See LogStorage."""
        self._mark(self._output, name)
        super().put_output(name, data, metadata, replace=replace)

    @staticmethod
    def _mark(container: ContainerClient, name: str) -> None:
        while name := name.rpartition("/")[0]:
            blob = container.get_blob_client(name)
            blob.upload_blob(b"", overwrite=True, metadata={"hdi_isfolder": "true"})


def azurite_with_directories(azurite: Azurite, name: str) -> WithDirectories:
    """Such a storage on the containers `<name>-state` and `<name>-output`, which must exist."""
    service = BlobServiceClient.from_connection_string(azurite.connection_string)
    return WithDirectories(
        service.get_container_client(f"{name}-state"), service.get_container_client(f"{name}-output")
    )
