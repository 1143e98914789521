"""Reads ledgers and other documents from the state container."""

from collections.abc import Callable, Iterator

from shared.errors import LedgerError
from shared.input.hub_partition import HubPartition
from shared.protocol.ledger import Ledger
from shared.protocol.storage import Blob, Storage


def read[D](storage: Storage, name: str, parse: Callable[[bytes], D]) -> D | None:
    """Reads a document; returns None if there is none. Raises LedgerError."""
    blob = storage.read(name)
    return parse(blob.data) if blob else None


def read_ledger(storage: Storage, partition: HubPartition) -> Ledger | None:
    """Reads the ledger of a partition; returns None if it has none. Raises LedgerError."""
    name = Ledger.name(partition)
    return read(storage, name, lambda data: Ledger.parse(data, name))


def read_ledgers(
    storage: Storage, unreadable: Callable[[str, LedgerError], object] | None = None
) -> Iterator[tuple[str, Ledger, Blob]]:
    """Yields the name, the ledger and the blob of every partition.

    `unreadable` is called with the name and the problem of each ledger that cannot be read. Without it, the
    problem is raised.
    """
    names = storage.names("ledgers/")
    for name, blob in zip(names, storage.read_all(names), strict=True):
        if blob is None:
            continue
        try:
            ledger = Ledger.parse(blob.data, name)
        except LedgerError as error:
            if unreadable is None:
                raise
            unreadable(name, error)
        else:
            yield name, ledger, blob
