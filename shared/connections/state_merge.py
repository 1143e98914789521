"""Processes the state table in parts: merges new records, finishes due connections, stores new parts."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared import __version__
from shared.connections import finishing, observations, state_table
from shared.connections.manifest import Manifest, Part, Totals
from shared.connections.observations import UNKNOWN
from shared.errors import DamagedFile, PreconditionFailed
from shared.output import layout
from shared.output.formats import FORMATS
from shared.policies import FinishPolicy
from shared.protocol.commit_files import Output, staged_files
from shared.protocol.ledger import StagedFile
from shared.protocol.stamp import Stamp
from shared.protocol.storage import Storage
from shared.tables.connection_revisions import CONNECTIONS
from shared.timeunits import DAY, HOUR

ENOUGH = 250_000
"""Number of rows after which a commit of the manifest stops writing, to bound memory."""


class StateMerge:
    """One pass over the state table, for one commit of the manifest."""

    def __init__(self, storage: Storage, policy: FinishPolicy, after: Manifest, stamp: Stamp) -> None:
        """`after` is the manifest to commit, except for what depends on the state table."""
        self._storage = storage
        self._policy = policy
        self._stamp = stamp
        self._after = after
        self._vocabulary = finishing.Vocabulary.of(policy)
        self._quiet = after.quiet(self._vocabulary.closing)
        self._by = f"{policy} quiet={self._quiet}"
        self._all_due = self._by != after.policy
        self._clock = after.clock
        self._total = sum(part.rows for part in after.parts)
        self._parts: list[Part] = []
        self._waiting: list[pa.Table] = []
        self._due = UNKNOWN
        self.written: list[pa.Table] = []
        self.finished: Counter[str] = Counter()
        """Connections that were written with Revision 0, by status."""
        self.durations: list[tuple[str, float]] = []
        """Status and seconds of those whose duration is known."""
        self.damaged: list[str] = []
        """Parts of the state table that could not be read. The state of their connections is lost."""
        self.left = False
        """Whether some connections are due but have to wait for the next commit."""

    def part(self, part: Part | None, new: pa.Table) -> None:
        """Merges new rows into a part (None if there is none yet), and finishes its due connections."""
        due = part is not None and (part.due <= self._clock or self._all_due)
        busy = sum(table.num_rows for table in self.written) >= ENOUGH
        if part is not None and not new.num_rows and (busy or not due):
            self._flush()
            self._parts.append(part)
            self.left |= due
            return
        rows = state_table.STATE_TABLE.empty_table()
        if part is not None:
            blob = self._storage.read(part.name)
            if blob is None:
                raise PreconditionFailed(
                    f"{part.name} does not exist, because another instance has replaced it"
                )
            try:
                rows = observations.load(state_table.checked(part.name, blob.data))
            except DamagedFile:
                self.damaged.append(part.name)
        merged = state_table.merge_into(rows, new)
        room = UNKNOWN
        if self._total + new.num_rows > self._policy.cap and not busy:
            room = self._policy.cap * merged.num_rows // max(1, self._total + new.num_rows)
        finished = finishing.finish(
            merged,
            self._policy,
            -1 if busy else self._clock,
            quiet=self._quiet,
            room=room,
            commit_id=self._stamp.commit_id,
        )
        self.left |= busy and finished.due <= self._clock
        self.written.append(finished.written)
        self._count(finished, rows, new)
        if (
            sum(table.num_rows for table in self._waiting) + finished.kept.num_rows
            > state_table.PART_ROWS // 2
        ):
            self._flush()
        self._waiting.append(finished.kept)
        self._due = min(self._due, finished.due)

    def _flush(self) -> None:
        """Stores the collected rows as parts."""
        table = pa.concat_tables([state_table.STATE_TABLE.empty_table(), *self._waiting]).combine_chunks()
        for piece in state_table.cut(table):
            data = observations.dump(piece)
            prefix = f"state-table/{self._stamp.now:020d}-{self._stamp.commit_id}-{len(self._parts):05d}"
            name = state_table.name_of(prefix, data)
            self._storage.put(name, data)
            low = state_table.key_of(piece.slice(0, 1)).tobytes().hex()
            waiting = int(np.asarray(piece["pending"]).sum())
            self._parts.append(Part(name=name, low=low, rows=piece.num_rows, open=waiting, due=self._due))
        self._waiting, self._due = [], UNKNOWN

    def _count(self, finished: finishing.Finished, rows: pa.Table, new: pa.Table) -> None:
        """Counts the changes to a part: `new` rows were merged into `rows`."""
        after = self._after
        first = np.asarray(finished.written["Revision"]) == 0
        statuses = finished.written["Status"].filter(pa.array(first)).value_counts().to_pylist()
        self.finished.update({str(one["values"]): int(one["counts"]) for one in statuses})
        known = finished.written.filter(pc.and_(pa.array(first), finished.written["DurationMs"].is_valid()))
        seconds = pc.divide(known["DurationMs"], 1000).to_pylist()
        self.durations += zip(known["Status"].to_pylist(), seconds, strict=True)
        unknown_durations = finished.written.filter(
            pc.and_(pa.array(first), finished.written["DurationMs"].is_null())
        )
        began = dict(after.began)
        unknown = ~state_table.found(state_table.key_of(rows), state_table.key_of(new))[1]
        hours, numbers = np.unique(np.asarray(new["first_seen"])[unknown] // HOUR, return_counts=True)
        for hour, number in zip(hours.tolist(), numbers.tolist(), strict=True):
            began[hour] = began.get(hour, 0) + number
        totals = Totals(
            connections=int(first.sum()),
            indeterminate=unknown_durations.num_rows,
            arrival_seconds=round((pc.sum(unknown_durations["ArrivalDurationMs"]).as_py() or 0) / 1000),
            revisions=int((~first).sum()),
            capped=finished.capped,
        )
        self._after = after.model_copy(
            update={
                "began": began,
                "names": after.counting(finished.names, self._vocabulary.names),
                "totals": after.totals.plus(totals),
            }
        )

    def manifest(self) -> Manifest:
        """Returns the next manifest, except for its files."""
        self._flush()
        oldest = (self._clock - DAY) // HOUR
        began = {hour: number for hour, number in sorted(self._after.began.items()) if hour >= oldest}
        policy = "" if self.left else self._by
        return self._after.model_copy(
            update={
                "parts": tuple(self._parts),
                "policy": policy,
                "began": began,
                "totals": self._after.totals.plus(Totals(missing=len(self.damaged))),
            }
        )

    def files(self) -> tuple[StagedFile, ...]:
        """Returns the files of finished connections, in the folders that Revision 0 fixed."""
        stamp, after = self._stamp, self._after
        metadata = {
            "manifest_id": after.manifest_id or stamp.commit_id,
            "ordinal": str(after.ordinal + 1),
            "files_before": str(after.written_files),
            "rows_before": str(after.written_rows),
            "chain_before": after.chain,
        }
        return staged_files(list(self._outputs()), stamp, self._policy.formats, metadata)

    def _outputs(self) -> Iterator[Output]:
        table = pa.concat_tables([finishing.WRITTEN.empty_table(), *self.written])
        for group in layout.split(table, "folder"):
            rows = group.table.drop_columns(["folder"]).cast(CONNECTIONS.arrow)
            times = layout.times(rows, CONNECTIONS.time_column)
            for format_ in self._policy.formats:
                one = FORMATS[format_]
                data = one.encode(rows, {"program_version": __version__}, self._policy.compression)
                part = "" if group.part is None else f"-{group.part:05d}"
                name = (
                    layout.folder(format_, CONNECTIONS.name, group.date, group.hour)
                    + f"connections-{self._after.ordinal + 1:012d}-{self._stamp.commit_id}{part}"
                    + f".{one.extension}"
                )
                yield Output(name, rows.num_rows, data, one.content_type, times)
