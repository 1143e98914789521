"""Records how many rows were erased from which files, so that the audit can prove the remaining rows.

A file without the erased rows replaces the file that held them. It is recorded here, with its checksum,
before its swap is committed. If the swap is never committed, the record has no effect, because its file never
appears.
"""

from collections.abc import Mapping, Sequence

from shared.errors import LedgerError
from shared.protocol import documents
from shared.protocol.documents import Data, Document
from shared.protocol.storage import BlobInfo, Storage

FORMAT = 1
PREFIX = "erasures/"
"""Prefix of these blobs in the state container."""
GATHERED = 5_000
"""Maximum number of files in one document."""
TRIES = 5


class ErasedFile(Data):
    """A file that was written without some rows of the files that it replaced."""

    name: str
    sha256: str
    erased: int
    """Number of rows that the exported files had and this one lacks."""
    letters: int = 0
    """Number of dead letters in it whose bodies were erased."""


class Erasures(Document):
    """A document that lists some of these files."""

    format: int = FORMAT
    files: tuple[ErasedFile, ...] = ()


def note(storage: Storage, file: ErasedFile, commit_id: str) -> None:
    """Records a file before the swap that makes it visible is committed. Raises StorageError."""
    name = f"{PREFIX}{commit_id}.json"
    storage.put(name, documents.dump(Erasures(files=(file,)), name))


def known(storage: Storage) -> dict[str, ErasedFile]:
    """Returns all recorded files by name. Raises LedgerError, StorageError."""
    for _ in range(TRIES):
        names = storage.names(PREFIX)
        found: dict[str, ErasedFile] = {}
        blobs = storage.read_all(names)
        for name, blob in zip(names, blobs, strict=True):
            if blob:
                found |= {one.name: one for one in documents.parse(Erasures, blob.data, name, FORMAT).files}
        if all(blobs):  # otherwise they were gathered in the meantime
            return found
    raise LedgerError(f"{PREFIX}: documents keep disappearing: try again")


def gather(storage: Storage, new_id: str) -> None:
    """Combines the documents of single files, so that an audit reads few of them."""
    names = storage.names(PREFIX)
    read = zip(names, storage.read_all(names), strict=True)
    found = {name: documents.parse(Erasures, blob.data, name, FORMAT).files for name, blob in read if blob}
    small = {name: files for name, files in found.items() if len(files) == 1}
    files = [file for some in small.values() for file in some][:GATHERED]
    if len(files) > 1:
        name = f"{PREFIX}{new_id}.json"
        storage.put(name, documents.dump(Erasures(files=tuple(files)), name))
        storage.delete([name for name, some in small.items() if some[0] in files])


def matches_record(file: BlobInfo, erasures: Mapping[str, ErasedFile]) -> bool:
    """Whether a file matches its record."""
    noted = erasures.get(file.name)
    return (
        noted is not None
        and noted.sha256 == file.metadata.get("sha256")
        and noted.erased == erased(file)
        and noted.letters == int(file.metadata.get("letters", "0"))
    )


def erased(file: BlobInfo) -> int:
    """Returns the number of erased rows according to its metadata."""
    number = file.metadata.get("erased", "0")
    return int(number) if number.isdecimal() else 0


def any_erased(files: Sequence[BlobInfo]) -> bool:
    """Whether rows were erased from one of these files."""
    return any("erased" in file.metadata for file in files)
