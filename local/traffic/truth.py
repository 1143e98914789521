"""Describes the ground truth of generated traffic: the expected outcome of every record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

ROW, SKIPPED, UNREADABLE = "row", "skipped", "unreadable_envelope"
OTHER_ROWS = {"GatewayLogs": "gateway_row", "GatewayLlmLogs": "language_model_row"}
"""The outcomes of records of other categories that are also exported, by category."""
ROWS = {ROW, *OTHER_ROWS.values()}
WHOLE_ENVELOPE = -1
_FIRST_SEQUENCES = b"first_sequences"


@dataclass(frozen=True, slots=True)
class Truth:
    """Every record that was sent, and its expected outcome.

    `records` has one row per record, and one per unreadable envelope, in sending order:

    - partition: the partition id; position: the envelope's position in its partition, from 0;
      record_index: the position among all elements of the envelope, from 0, or `WHOLE_ENVELOPE`
    - outcome: `ROW` (of a WebSocket connection), one of `OTHER_ROWS`, `SKIPPED` (a category that is not
      exported), or the reason of its rejection
    - resource_id (lower case), correlation_id, time (microseconds since 1970-01-01 UTC): null unless the
      outcome is one of `ROWS`
    - connection, event_name, error (the record has an error text): null unless the outcome is `ROW`

    `first_sequences` has the sequence number of each partition's first envelope; 0 if it has no entry.
    """

    records: pa.Table
    first_sequences: Mapping[str, int] = field(default_factory=dict)

    @property
    def outcomes(self) -> dict[str, int]:
        """The number of records with each outcome; the sum is the number of records in."""
        counted = self.records["outcome"].value_counts().to_pylist()
        return dict(sorted((str(one["values"]), int(one["counts"])) for one in counted))

    @property
    def rows(self) -> int:
        """The number of rows that must be exported, in all tables."""
        return sum(number for outcome, number in self.outcomes.items() if outcome in ROWS)

    @property
    def skipped(self) -> int:
        """The number of records of other categories."""
        return self.outcomes.get(SKIPPED, 0)

    @property
    def rejected(self) -> dict[str, int]:
        """The expected number of rejections, by reason."""
        return {name: count for name, count in self.outcomes.items() if name not in {*ROWS, SKIPPED}}

    def good(self, outcome: str = ROW) -> pa.Table:
        """Returns the records that must become rows of one table."""
        return self.records.filter(pc.equal(self.records["outcome"], outcome))

    def connections(self) -> pa.Table:
        """Returns one row per connection, with the facts from which its status follows.

        Columns: resource_id, correlation_id, first_time, last_time, duration (all microseconds), event_count,
        opening_seen, closing_seen, failed_seen, error_seen.
        """
        good = self.good()
        order = np.argsort(good["connection"].to_numpy(), kind="stable")
        good = good.take(pa.array(order))
        connection = good["connection"].to_numpy()
        starts = np.flatnonzero(
            np.concatenate(([True], connection[1:] != connection[:-1]))[: len(connection)]
        )
        time = good["time"].to_numpy()
        first, last = np.minimum.reduceat(time, starts), np.maximum.reduceat(time, starts)
        columns = {
            "resource_id": good["resource_id"].cast(pa.string()).take(pa.array(starts)),
            "correlation_id": good["correlation_id"].cast(pa.string()).take(pa.array(starts)),
            "first_time": first,
            "last_time": last,
            "duration": last - first,
            "event_count": np.diff(np.append(starts, len(connection))),
        }
        for name, event in (
            ("opening_seen", "ConnectionOpened"),
            ("closing_seen", "ConnectionClosed"),
            ("failed_seen", "ConnectionFailed"),
        ):
            columns[name] = np.logical_or.reduceat(pc.equal(good["event_name"], event).to_numpy(), starts)
        columns["error_seen"] = np.logical_or.reduceat(good["error"].to_numpy(), starts)
        return pa.table(columns)

    def save(self, path: Path) -> None:
        """Writes one Arrow file, which `load` reads."""
        table = self.records.replace_schema_metadata(
            {_FIRST_SEQUENCES: orjson.dumps(dict(self.first_sequences))}
        )
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        with (
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_file(file, table.schema, options=options) as writer,
        ):
            writer.write_table(table)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote."""
        with pa.OSFile(str(path), "rb") as file:
            table = pa.ipc.open_file(file).read_all()
        metadata = table.schema.metadata or {}
        return cls(table.replace_schema_metadata(None), orjson.loads(metadata.get(_FIRST_SEQUENCES, b"{}")))
