"""Converts files of log records into the output that the function app would write for them."""

import io
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from shared.clock import new_id
from shared.connections.timer import Finisher
from shared.convert.bodies import bodies
from shared.convert.folder_storage import FolderStorage
from shared.convert.outcome import ConvertDocument
from shared.errors import ConvertError
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.policies import ExportPolicy, FinishPolicy
from shared.protocol.hub import HubState, Position
from shared.protocol.publishing import PENDING
from shared.timeunits import SECOND

PARTITION = HubPartition("files", "convert", "0")
"""The partition of all records in the lineage columns; the sequence number counts bodies or lines."""
BATCH = 20_000
"""Maximum number of bodies in one commit."""
FINISH_EVERY = 2_000_000
"""Finished connections are written after this many records, so that memory stays bounded."""
ANY_AGE = timedelta(days=36_500)
"""Files may be old, so any age of a record on arrival is accepted."""
ARCHIVE_HOUR = re.compile(r"y=(\d{4})/m=(\d\d?)/d=(\d\d?)/h=(\d\d?)/")


@dataclass(frozen=True, slots=True)
class Input:
    """A file to convert."""

    name: str
    file: io.BufferedReader
    arrived: int
    """When its records reached the hub, µs since 1970 UTC."""


class _NoHub:
    """Represents the hub: it does not answer while files are read, and is empty afterwards."""

    def __init__(self) -> None:
        self.ended = False

    def ask(self) -> HubState | None:
        if not self.ended:
            return None
        return HubState(created=0, positions={PARTITION: Position(last=-1, enqueued=0, empty=True)})


def convert(
    inputs: Iterable[Input],
    output: Path,
    policy: ExportPolicy,
    finishing: FinishPolicy,
    progress: Callable[[int], None] = lambda _: None,
) -> ConvertDocument:
    """Reads all inputs, and writes rows, dead letters and finished connections below `output`.

    Args:
        inputs: the files, which are read in sequence; each is closed afterwards.
        output: an empty or new folder.
        policy: the policy of the function app, except that any age of a record is accepted.
        finishing: the policy of the function app. At the end of the input, every connection is finished.
        progress: receives the number of bytes read so far.

    Raises:
        ConvertError: a file cannot be read, or the folder is not empty.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ConvertError(f"{output} is not an empty folder; name another one with --output")
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="convert-") as state:
        return _Conversion(FolderStorage(Path(state), output), policy, finishing, progress).run(inputs)


class _Conversion:
    def __init__(
        self,
        storage: FolderStorage,
        policy: ExportPolicy,
        finishing: FinishPolicy,
        progress: Callable[[int], None],
    ) -> None:
        self._hub = _NoHub()
        self._clock = 0
        self._progress = progress
        self._policy = replace(policy, max_age=ANY_AGE)
        self._finishing = finishing
        self._exporter = Exporter(storage, self._policy, 1 << 30, self._now, new_id)
        self._finisher = Finisher(storage, self._hub, finishing, self._now, new_id)
        self._done = ConvertDocument()

    def run(self, inputs: Iterable[Input]) -> ConvertDocument:
        finished = 0
        for batch in self._batches(inputs):
            self._commit(batch)
            if self._done.records - finished >= FINISH_EVERY:
                self._finish()
                finished = self._done.records
        self._clock += PENDING + SECOND
        self._finish()  # confirms that the last files are published
        self._hub.ended = True
        self._clock += (self._finishing.idle + self._finishing.late) // timedelta(
            microseconds=1
        ) + 3600 * SECOND
        self._finish()
        return self._done

    def _batches(self, inputs: Iterable[Input]) -> Iterator[list[Envelope]]:
        """Yields bodies as messages, numbered from 0, in batches for one commit each."""
        batch: list[Envelope] = []
        size = sequence = read = 0
        for each in inputs:
            self._done.files += 1
            with each.file:
                for body in bodies(each.file, each.name, self._policy.max_inflated):
                    batch.append(Envelope(sequence, each.arrived, body))
                    sequence += 1
                    size += len(body)
                    read += len(body)
                    if size >= self._policy.commit_bytes or len(batch) >= BATCH:
                        yield batch
                        self._progress(read)
                        batch, size = [], 0
        if batch:
            yield batch

    def _commit(self, batch: list[Envelope]) -> None:
        self._clock = max(self._clock, batch[-1].enqueued)
        for commit in self._exporter.run(PARTITION, batch):
            self._done.records += commit.counts.records
            self._done.rows += commit.counts.rows
            self._done.skipped += commit.counts.skipped
            self._done.rejected.update(commit.counts.rejected)

    def _finish(self) -> None:
        complete = False
        while not complete:
            run = self._finisher.run(0)
            self._done.connections += run.finished.total()
            complete = run.complete

    def _now(self) -> int:
        return self._clock


def arrival(path: Path) -> int:
    """Returns when the records in a file reached the hub, in µs since 1970 UTC.

    This is the end of the hour in the path of an archive, and the modification time of any other file.
    """
    if found := ARCHIVE_HOUR.search(path.as_posix()):
        year, month, day, hour = map(int, found.groups())
        return round((datetime(year, month, day, hour, tzinfo=UTC) + timedelta(hours=1)).timestamp()) * SECOND
    return path.stat().st_mtime_ns // 1000
