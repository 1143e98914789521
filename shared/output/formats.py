"""The registry of output formats: settings, planning, finishing, the audit and the report go by it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa

from shared.output import json_lines, parquet
from shared.output.lineage import Keys
from shared.policies import Compression


@dataclass(frozen=True, slots=True)
class Format:
    """A format that rows are written in. Adding one to FORMATS is all that it takes."""

    name: str
    """As `OUTPUT_FORMATS` names it, and the folder of its files in the container."""
    extension: str
    """How names of its files end, without the first dot: loaders that are fed by events can go by it."""
    content_type: str
    encode: Callable[[pa.Table, Mapping[str, str], Compression], bytes]
    """Takes a table, key-value metadata for formats that have them, and the codec of Parquet."""
    count_rows: Callable[[BinaryIO], int]
    """Reads how many rows a file has. Raises DamagedFile."""
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
"""Every format, by its name."""
