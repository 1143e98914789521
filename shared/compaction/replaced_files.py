"""Reads and writes the list of replaced files in a compacted file, on which the audit relies. Pure."""

import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import orjson

from shared.errors import DamagedFile

KEY = "replaces"
"""The key of the list in the key-value metadata of a Parquet file, or in the metadata of another blob."""


@dataclass(frozen=True, slots=True)
class ReplacedFile:
    """An exported file whose rows are now in a compacted file."""

    name: str
    metadata: Mapping[str, str]
    """The metadata of its blob, including its number of `rows`."""

    @property
    def rows(self) -> int:
        """The number of its rows."""
        return int(self.metadata["rows"])


def dump(origins: Sequence[ReplacedFile]) -> str:
    """Serializes the list by column, which compresses three times as well because neighbors are similar."""
    keys = sorted({key for one in origins for key in one.metadata})
    columns = {key: [one.metadata.get(key) for one in origins] for key in keys}
    data = orjson.dumps({"names": [one.name for one in origins], "metadata": columns})
    return b64encode(zlib.compress(data, 9)).decode()


def load(metadata: Mapping[bytes, bytes] | None, name: str) -> list[ReplacedFile]:
    """Parses the key-value metadata of the Parquet file with this name. Raises DamagedFile."""
    return parse((metadata or {}).get(KEY.encode(), b""), name)


def parse(text: bytes | str, name: str) -> list[ReplacedFile]:
    """Parses what `dump` wrote for the file with this name. Raises DamagedFile."""
    try:
        data = orjson.loads(zlib.decompress(b64decode(text, validate=True)))
        columns = data["metadata"]
        return [
            ReplacedFile(name, {key: values[n] for key, values in columns.items() if values[n] is not None})
            for n, name in enumerate(data["names"])
        ]
    except (KeyError, IndexError, TypeError, ValueError, zlib.error) as error:
        raise DamagedFile(f"{name} does not say which files it replaced: {error!r}") from error
