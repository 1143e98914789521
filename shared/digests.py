"""Computes the digests that tie a file to the commit that wrote it, and each commit to the one before. Pure.

A file's metadata has the SHA-256 of its bytes and the chain value before its commit. A commit's own value is
a SHA-256 over the names and metadata of all its files. The ledger holds the value of its newest commit alone,
and yet it proves the name, the metadata and the bytes of every file ever committed.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Protocol

import orjson

GENESIS = "0" * 64
"""The chain value before the first commit."""


class Named(Protocol):
    """A file with its metadata: as a commit lists it, or as it lies in storage."""

    @property
    def name(self) -> str:
        """With its folder."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """That of its blob."""


def of_bytes(data: bytes) -> str:
    """The SHA-256 of a file's bytes, hexadecimal, as `sha256sum` prints it."""
    return hashlib.sha256(data).hexdigest()


def of_file(file: Named) -> bytes:
    """The digest of a file's name and metadata, which contain its folder and the SHA-256 of its bytes."""
    return hashlib.sha256(
        orjson.dumps([file.name, dict(file.metadata)], option=orjson.OPT_SORT_KEYS)
    ).digest()


def of_commit(files: Iterable[bytes]) -> str:
    """The chain value after a commit, from the digests of all its files in any order."""
    return hashlib.sha256(b"".join(sorted(files))).hexdigest()


def chained(before: str, files: Iterable[Named]) -> str:
    """The chain value after a commit of these files; without files it stays as it was."""
    digests = [of_file(file) for file in files]
    return of_commit(digests) if digests else before
