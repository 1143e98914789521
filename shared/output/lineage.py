"""The columns that identify the origin of a row, for the audit. Pure data."""

from shared.arrays import Array

KEY = ("_EventHubPartition", "_SequenceNumber", "_RecordIndex")
BATCH = 1 << 16
"""Maximum number of rows that are read at a time."""

type Keys = tuple[set[str], Array, Array]
"""The partitions of some rows, and the sequence number and record index of each row."""
