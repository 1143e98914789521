"""Deletes and rewinds the checkpoints of a stack's hosts, as an outage or an operator could."""

import random
from collections import defaultdict

from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient

from local.stack import Stack

CONTAINER = "azure-webjobs-eventhub"


def forget(stack: Stack) -> None:
    """Delete all checkpoints."""
    for name in names(stack):
        stack.container(CONTAINER).delete_blob(name)


def names(stack: Stack) -> list[str]:
    """Returns the blobs that are checkpoints."""
    container = stack.container(CONTAINER)
    found = container.list_blob_names() if container.exists() else []
    return [name for name in found if "/checkpoint/" in name]


class CheckpointHistory:
    """Earlier values of the checkpoints, so that they can be restored."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._seen: dict[str, list[dict[str, str]]] = defaultdict(list)

    def look(self) -> None:
        """Remember the current checkpoints."""
        for name in names(self._stack):
            metadata = dict(self._blob(name).get_blob_properties().metadata)
            if metadata not in self._seen[name][-1:]:
                self._seen[name].append(metadata)

    def rewind(self, choose: random.Random) -> bool:
        """Set each checkpoint to an older value, and return whether there was one."""
        rewound = False
        for name, seen in self._seen.items():
            try:
                current = int(self._blob(name).get_blob_properties().metadata["sequencenumber"])
            except HttpResponseError:
                continue  # it was deleted
            older = [metadata for metadata in seen if int(metadata["sequencenumber"]) < current]
            if older:
                self._blob(name).set_blob_metadata(choose.choice(older))
                rewound = True
        return rewound

    def _blob(self, name: str) -> BlobClient:
        return self._stack.container(CONTAINER).get_blob_client(name)
