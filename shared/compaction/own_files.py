"""Recognizes the exported and compacted files of this program by their metadata. Pure."""

from shared.compaction import replaced_files
from shared.input.hub_partition import is_archive
from shared.protocol.commit_metadata import CommitMetadata
from shared.protocol.storage import BlobInfo
from shared.tables.connection_revisions import CONNECTIONS


def is_own(file: BlobInfo) -> bool:
    """Whether a file's metadata shows that this program exported or compacted it, or erased rows from it."""
    metadata = file.metadata
    numbers = (metadata.get("rows", ""), metadata.get("committed_at", ""), metadata.get("compacted", "1"))
    of_connections = f"/{CONNECTIONS.name}/" in file.name
    read = CommitMetadata.of_connections if of_connections else CommitMetadata.of
    return (
        (file.name.endswith(".parquet") or replaced_files.KEY in metadata)
        and all(number.isdecimal() for number in numbers)
        and {"bytes", "folder", "sha256"} <= metadata.keys()
        and "commit_id" in metadata
        and metadata["commit_id"] in file.name
        and ("compacted" in metadata or read(metadata) is not None)
    )


def may_be_of_archive(file: BlobInfo, manifest_id: str) -> bool:
    """Whether a backfill, not the app with this manifest, may have written the file."""
    partition, other = file.metadata.get("partition", ""), file.metadata.get("manifest_id", manifest_id)
    return is_archive(partition) or other != manifest_id
