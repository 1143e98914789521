"""Decides which actions bring a Delta log in line with a listing of the table's folders. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from shared.delta.snapshot import PATH, Add, LoggedFile, Remove, Snapshot, Tombstone
from shared.protocol.storage import BlobInfo


@dataclass(slots=True)
class ListedDay:
    """The listing of one day of a table; `take` is called for each of its blobs."""

    day: str
    """`date=2026-11-20`."""
    base: int
    """The newest version that was read before the listing began."""
    own: dict[str, LoggedFile] = field(default_factory=dict)
    """This program's visible files in their original folders, by path."""
    present: set[str] = field(default_factory=set)
    """The paths of all visible files."""

    def take(self, path: str, blob: BlobInfo, *, own: bool) -> None:
        """Adds one blob. `own`: its metadata is that of a file that this program wrote."""
        if not blob.visible:
            return
        self.present.add(path)
        if own and PATH.fullmatch(path) and blob.name == _written(blob):
            self.own[path] = logged(blob.size, blob.metadata)


def logged(size: int, metadata: Mapping[str, str]) -> LoggedFile:
    """Describes a file for the log, from its size in bytes and its blob's metadata."""
    first, _, last = metadata.get("times", "").partition("-")
    times = (int(first), int(last)) if first.isdecimal() and last.isdecimal() else (0, 0)
    return LoggedFile(size, int(metadata["committed_at"]), int(metadata["rows"]), *times)


def reconcile(
    snapshot: Snapshot, listed: ListedDay, pending_output: str | None, oldest: int, now: int
) -> list[Add | Remove]:
    """Returns the actions that bring the log of a day in line with its folders.

    Args:
        snapshot: the newest version.
        listed: the listing of the day, which began after `listed.base` was read.
        pending_output: the output of the swap that `compaction.json` names, read after the listing. The swap
            itself logs it together with its inputs.
        oldest: lifecycle rules will soon delete files committed before this time (µs since 1970 UTC).
        now: µs since 1970 UTC.
    """
    live = snapshot.live.get(listed.day, {})
    # A file that was added during the listing may be missing from it.
    gone: list[Add | Remove] = [
        Remove(path, Tombstone(now, swapped=False, kept=False))
        for path, file in live.items()
        if path not in listed.present and file.since <= listed.base
    ]
    # A listing may be older than the swap that replaced a file, so tombstones count.
    return gone + [
        Add(path, file)
        for path, file in listed.own.items()
        if not snapshot.knows(path) and path != pending_output and file.committed_at >= oldest
    ]


def expired(snapshot: Snapshot, oldest: int, now: int) -> list[Add | Remove]:
    """Returns the actions that remove the files committed before `oldest` (µs since 1970 UTC)."""
    return [
        Remove(path, Tombstone(now, swapped=False, kept=False))
        for files in snapshot.live.values()
        for path, file in files.items()
        if file.committed_at < oldest
    ]


def swapped(
    snapshot: Snapshot,
    inputs: Collection[str],
    output: str,
    file: LoggedFile,
    now: int,
    *,
    kept: bool,
    same_rows: bool = True,
) -> list[Add | Remove]:
    """Returns the actions that replace a swap's inputs with its output, which has the same or fewer rows."""
    actions: list[Add | Remove] = [
        Remove(path, Tombstone(now, swapped=same_rows, kept=kept))
        for path in inputs
        if snapshot.is_live(path)
    ]
    return actions if snapshot.knows(output) else [*actions, Add(output, file, swapped=same_rows)]


def given_up(snapshot: Snapshot, left: Mapping[str, LoggedFile], output: str, now: int) -> list[Add | Remove]:
    """Returns the actions after a swap whose output is lost, which add its remaining inputs again."""
    actions: list[Add | Remove] = [
        Add(path, file) for path, file in left.items() if not snapshot.is_live(path)
    ]
    if snapshot.is_live(output):
        actions.append(Remove(output, Tombstone(now, swapped=False, kept=False)))
    return actions


def _written(blob: BlobInfo) -> str:
    return blob.metadata["folder"] + blob.name.rpartition("/")[2]
