"""Computes the digests that link a file to its commit, and each commit to the previous one. Pure.

A file's metadata has the SHA-256 of its bytes and the chain value before its commit. A commit's own value is
a SHA-256 over the names and metadata of all its files. The ledger holds only the value of its newest commit,
which proves the name, the metadata and the bytes of every file ever committed.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Protocol

import orjson

GENESIS = "0" * 64
"""The chain value before the first commit."""


class Named(Protocol):
    """A file with its metadata, either listed in a commit or in storage."""

    @property
    def name(self) -> str:
        """The name including the folder."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """The metadata of its blob."""


def of_bytes(data: bytes) -> str:
    """Returns the SHA-256 of a file's bytes in hexadecimal, as printed by `sha256sum`."""
    return hashlib.sha256(data).hexdigest()


def of_file(file: Named) -> bytes:
    """Returns the digest of a file's name and metadata, which contain its folder and its SHA-256."""
    return hashlib.sha256(
        orjson.dumps([file.name, dict(file.metadata)], option=orjson.OPT_SORT_KEYS)
    ).digest()


def of_commit(files: Iterable[bytes]) -> str:
    """Returns the chain value after a commit, from the digests of all its files in any order."""
    return hashlib.sha256(b"".join(sorted(files))).hexdigest()


def chained(before: str, files: Iterable[Named]) -> str:
    """Returns the chain value after a commit of these files; without files, it is unchanged."""
    digests = [of_file(file) for file in files]
    return of_commit(digests) if digests else before
