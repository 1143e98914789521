"""Reads Delta logs by the protocol alone, without the program's code: the oracle of tests and simulation."""

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow.parquet as pq


class LogBroken(Exception):
    """No reader can open this log."""


@dataclass
class Table:
    """A table as a reader sees it."""

    version: int = -1
    live: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The `add` action of each file, by path."""
    removed: dict[str, dict[str, Any]] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)

    def apply(self, name: str, values: dict[str, Any]) -> None:
        if name == "add":
            self.live[values["path"]] = values
            self.removed.pop(values["path"], None)
        elif name == "remove":
            self.live.pop(values["path"], None)
            self.removed[values["path"]] = values
        elif name == "metaData":
            self.metadata = values


def read(
    blobs: Mapping[str, bytes], *, pointer: bool = True, cache: dict[bytes, Any] | None = None
) -> Table | None:
    """Returns the newest version of a log with these blobs (names in `_delta_log/`); None if it is empty.

    `pointer`: uses `_last_checkpoint`, like most readers, instead of a listing. Raises LogBroken.
    """
    cache = {} if cache is None else cache
    versions = {int(name[:20]) for name in blobs if re.fullmatch(r"\d{20}\.json", name)}
    checkpoints = {int(name[:20]) for name in blobs if re.fullmatch(r"\d{20}\.checkpoint\.parquet", name)}
    if not blobs:
        return None
    table = Table()
    if pointer and "_last_checkpoint" in blobs:
        named = json.loads(blobs["_last_checkpoint"])["version"]
        if named not in checkpoints:
            raise LogBroken(f"_last_checkpoint names {named}, which is not there")
        checkpoints = {one for one in checkpoints if one >= named}
    if checkpoints:
        table.version = max(checkpoints)
        for name, values in _checkpoint(blobs[f"{table.version:020d}.checkpoint.parquet"], cache):
            table.apply(name, values)
    for version in range(table.version + 1, max(versions, default=-1) + 1):
        if version not in versions:
            raise LogBroken(f"version {version} is missing")
        for name, values in _version(blobs[f"{version:020d}.json"], cache):
            table.apply(name, values)
        table.version = version
    if not table.metadata:
        raise LogBroken("there is no metaData")
    return table


def _version(data: bytes, cache: dict[bytes, Any]) -> list[tuple[str, dict[str, Any]]]:
    if data not in cache:
        cache[data] = [next(iter(json.loads(line).items())) for line in data.splitlines()]
    found: list[tuple[str, dict[str, Any]]] = cache[data]
    paths = [values["path"] for name, values in found if name in {"add", "remove"}]
    if len(paths) != len(set(paths)):
        raise LogBroken("a version names a path twice")
    return found


def _checkpoint(data: bytes, cache: dict[bytes, Any]) -> list[tuple[str, dict[str, Any]]]:
    if data not in cache:
        rows = pq.read_table(io.BytesIO(data)).to_pylist(maps_as_pydicts="strict")
        cache[data] = [item for row in rows for item in row.items() if item[1] is not None]
    found: list[tuple[str, dict[str, Any]]] = cache[data]
    return found
