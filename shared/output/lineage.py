"""The columns that say where a row came from, by which the audit knows it. Pure data."""

from shared.arrays import Array

KEY = ("_EventHubPartition", "_SequenceNumber", "_RecordIndex")
BATCH = 1 << 16
"""Maximum number of rows that are read at a time."""

type Keys = tuple[set[str], Array, Array]
"""Of some rows: all their partitions, and of each row the sequence number and the record index."""
