"""Accepts the current ledger after a loss or rollback, on an operator's decision."""

from dataclasses import dataclass

from shared.commands.missing_files import exported_files
from shared.connections import manifest
from shared.connections.manifest import Manifest, PartitionProgress
from shared.errors import LedgerError, PreconditionFailed
from shared.protocol import stored_documents
from shared.protocol.commit_metadata import CommitMetadata
from shared.protocol.ledger import Ledger
from shared.protocol.storage import Storage


@dataclass(frozen=True, slots=True)
class Blocked:
    """A partition that has stopped because its ledger is not the one that the timer has seen."""

    partition: str
    ledger: Ledger | None
    """The current ledger; None if it is missing."""
    seen: int
    """The highest ordinal that was seen."""

    @property
    def problem(self) -> str:
        """Describes the problem."""
        if self.ledger and self.ledger.ordinal >= self.seen:
            return (
                f"it dropped segments up to ordinal {self.ledger.trimmed}, which the manifest has not "
                "merged: the manifest is missing or older, and these connections are lost"
            )
        if self.ledger is None:
            return f"its ledger is missing; the timer has seen it at ordinal {self.seen}"
        at = f"its ledger is at ordinal {self.ledger.ordinal}"
        return f"{at}; the timer has seen it, or a different one, at {self.seen}"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Committed files that the ledger to accept lacks."""

    files: int
    rows: int
    """Rows of all these files, including dead letters."""
    last: int
    """The highest sequence number among them."""


def blocked(storage: Storage) -> list[Blocked]:
    """Finds every partition that needs a decision. Raises LedgerError if a ledger cannot be read."""
    current = manifest.load(storage)
    found = []
    for partition in sorted(_partitions(storage, current)):
        ledger = _ledger(storage, partition)
        merged = current.partitions.get(partition, PartitionProgress())
        gone = merged.ledger_id and ledger is None
        if gone or (ledger and (current.rolled_back(ledger) or current.behind(ledger))):
            found.append(Blocked(partition, ledger, merged.seen))
    return found


def partitions(storage: Storage) -> set[str]:
    """Returns every partition that has a ledger, or had one that the timer saw."""
    return _partitions(storage, manifest.load(storage))


def _partitions(storage: Storage, current: Manifest) -> set[str]:
    named = {name.removeprefix("ledgers/").removesuffix(".json") for name in storage.names("ledgers/")}
    return named | {name for name, merged in current.partitions.items() if merged.ledger_id}


def forgotten(storage: Storage, one: Blocked) -> Forgotten:
    """Finds committed files whose events would be exported again if the hub delivered them again."""
    files = rows = 0
    last = -1
    for _, blob_metadata in exported_files(storage):
        metadata = CommitMetadata.of(blob_metadata)
        if metadata and metadata.partition == one.partition:
            known = one.ledger and metadata.ledger_id == one.ledger.ledger_id
            if not known or (one.ledger and metadata.ordinal > one.ledger.ordinal):
                files += 1
                rows += int(blob_metadata["rows"])
                last = max(last, int(blob_metadata["last_sequence"]))
    return Forgotten(files, rows, last)


def accept(storage: Storage, one: Blocked, commit_id: str, now: int) -> None:
    """Resumes the partition from its current ledger, or from an empty one.

    Raises PreconditionFailed if the ledger has changed.
    """
    blob = storage.read(manifest.NAME)
    ledger = _ledger(storage, one.partition)
    if ledger != one.ledger:
        raise PreconditionFailed(f"{one.partition}: its ledger has changed in the meantime; check it again")
    current = Manifest.parse(blob.data) if blob else Manifest()
    gone = {part.name for part in current.parts} - set(storage.names("state-table/"))
    after = current.without_parts(gone).accepting(one.partition, ledger).written(commit_id, now)
    storage.write(manifest.NAME, after.dump(), blob.etag if blob else None)


def _ledger(storage: Storage, partition: str) -> Ledger | None:
    name = f"ledgers/{partition}.json"
    try:
        return stored_documents.read(storage, name, lambda data: Ledger.parse(data, name))
    except LedgerError as error:
        raise LedgerError(f"{error}: restore it, or delete it and accept its loss") from error
