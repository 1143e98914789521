"""The registry of output formats, which settings, planning, finishing, the audit and the report use."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

from shared.output import json_lines, parquet
from shared.output.lineage import Keys
from shared.policies import Compression


@dataclass(frozen=True, slots=True)
class Format:
    """A format in which rows are written. To add one, list it in FORMATS."""

    name: str
    """Its name in `OUTPUT_FORMATS`, and the folder of its files in the container."""
    extension: str
    """The ending of its file names without the first dot; event-driven loaders can filter by it."""
    content_type: str
    encode: Callable[[pa.Table, Mapping[str, str], Compression], bytes]
    """Encodes a table. Receives key-value metadata for formats that support them, and the Parquet codec."""
    count_rows: Callable[[BinaryIO], int]
    """Counts the rows of a file. Raises DamagedFile."""
    read_keys: Callable[[BinaryIO], Iterator[Keys]]
    """Reads the keys of all rows of a file. Raises DamagedFile."""


FORMATS = {
    one.name: one
    for one in (
        Format(
            "parquet",
            "part.parquet",
            parquet.CONTENT_TYPE,
            parquet.encode,
            parquet.count_rows,
            parquet.read_keys,
        ),
        Format(
            "json",
            "part.jsonl.gz",
            json_lines.CONTENT_TYPE,
            json_lines.encode,
            json_lines.count_rows,
            json_lines.read_keys,
        ),
    )
}
"""All formats by name."""
