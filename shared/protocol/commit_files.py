"""Makes the files of a commit with the metadata that links them to it and to earlier commits. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared import __version__, digests
from shared.protocol.ledger import PendingFile, StagedFile
from shared.protocol.stamp import Stamp
from shared.tables.table import VERSION


@dataclass(frozen=True, slots=True)
class Output:
    """An encoded file of a commit."""

    name: str
    """The name including the folder."""
    rows: int
    """The number of its rows, or of its dead letters."""
    data: bytes
    content_type: str
    times: str = ""
    """The earliest and latest time of its rows; empty for dead letters."""


def staged_files(
    outputs: Sequence[Output], stamp: Stamp, formats: Sequence[str], metadata: Mapping[str, str]
) -> tuple[StagedFile, ...]:
    """Returns the files of a commit to stage.

    `metadata`: the commit's place in the ledger or state table, and the counts of all earlier commits, which
    reveal a missing one (shared/audit/chain.py).
    """
    common = {
        **metadata,
        "commit_id": stamp.commit_id,
        "committed_at": str(stamp.now),
        "commit_files": str(len(outputs)),
        "commit_rows": str(sum(output.rows for output in outputs)),
        "formats": ",".join(formats),
        "schema_version": str(VERSION),
        "program_version": __version__,
    }
    return tuple(
        StagedFile(
            PendingFile(
                name=output.name,
                block_ids=(f"{stamp.commit_id}-00000",),
                content_type=output.content_type,
                metadata=common
                | {
                    "rows": str(output.rows),
                    "bytes": str(len(output.data)),
                    "folder": output.name[: output.name.rindex("/") + 1],
                    "sha256": digests.of_bytes(output.data),
                }
                | ({"times": output.times} if output.times else {}),
                staged_at=stamp.now,
            ),
            output.data,
        )
        for output in outputs
    )
