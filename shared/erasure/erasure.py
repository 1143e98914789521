"""Searches for matching rows everywhere, and erases them in an order that leaves none behind."""

from dataclasses import dataclass

from shared.erasure import connection_state
from shared.erasure.file_eraser import Erased, Eraser, Progress
from shared.erasure.selection import Selection
from shared.policies import CompactionPolicy
from shared.protocol.nested_storage import NestedStorage
from shared.protocol.stamp import Clock, NewId, Stamp
from shared.protocol.storage import LogStorage


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a search, or of an erasure."""

    files: Erased
    connections: int
    """Rows of the state table that match, or that were erased."""
    waiting: int
    """Matching observations that the timer has not merged yet."""

    @property
    def anything(self) -> bool:
        """Whether there are matching rows that a run can erase."""
        return bool(self.files.rows or self.connections)


class Erasure:
    """Searches or erases in the output container and in the connection states of exporters and `backfill`."""

    def __init__(
        self,
        storage: LogStorage,
        policy: CompactionPolicy,
        selection: Selection,
        now: Clock,
        new_id: NewId,
    ) -> None:
        """Makes no storage call."""
        self._eraser = Eraser(storage, policy, selection, now, new_id)
        self._states = (storage, NestedStorage(storage))
        self._selection = selection
        self._now = now
        self._new_id = new_id

    def find(self, progress: Progress) -> Outcome:
        """Returns what a run would erase. Writes nothing. Raises StorageError, LedgerError, DamagedFile."""
        files = self._eraser.find(progress)
        found = [connection_state.find(one, self._selection) for one in self._states]
        return Outcome(files, sum(one.connections for one in found), sum(one.waiting for one in found))

    def erase(self, progress: Progress) -> Outcome:
        """Erases open connections first, so that no rows are written for them while files are replaced.

        Raises StorageError, LedgerError or DamagedFile; what was erased until then stays erased.
        """
        connections = 0
        for one in self._states:
            connections += connection_state.erase(one, self._selection, self._stamp)
            connection_state.forget(one, self._stamp)
        files = self._eraser.erase(progress)
        waiting = sum(connection_state.find(one, self._selection).waiting for one in self._states)
        return Outcome(files, connections, waiting)

    def _stamp(self) -> Stamp:
        return Stamp(self._new_id(), self._now())
