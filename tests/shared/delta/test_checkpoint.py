"""A checkpoint holds a whole snapshot of a Delta log."""

from benchmarks.delta import NOW
from shared.delta import checkpoint
from shared.delta.log import DeltaLog
from shared.delta.snapshot import Tombstone
from shared.tables.websocket_connection_logs import RECORDS
from tests.shared.delta.test_log import filled


def test_a_checkpoint_holds_the_whole_snapshot() -> None:
    log = DeltaLog(filled(300), RECORDS, lambda: NOW)
    snapshot = log.load()
    assert snapshot
    assert snapshot.files == 300
    for number, kept in enumerate((False, True)):
        snapshot.tombstones[f"date=2026-11-20/hour=0{number}/a.parquet"] = Tombstone(NOW, kept, kept)
    found = checkpoint.decode(
        checkpoint.encode(snapshot, RECORDS.time_column), snapshot.version, RECORDS.time_column
    )
    snapshot.checkpoint, snapshot.checkpointed_at = snapshot.version, 0
    for files in snapshot.live.values():
        files.update({path: file.added_in(snapshot.version) for path, file in files.items()})
    assert found == snapshot
