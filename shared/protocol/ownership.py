"""Ensures that an output container has one state container, with a marker that names it."""

from collections.abc import Callable
from typing import Self

from pydantic import ValidationError

from shared import telemetry
from shared.errors import LedgerError, OutputConflict, PreconditionFailed
from shared.protocol.documents import Data
from shared.protocol.ledger import PendingFile, StagedFile
from shared.protocol.storage import Publication, Storage
from shared.telemetry import FunctionName
from shared.timeunits import MINUTE

MARKER = "_state.json"
"""In the output container; readers skip names that start with an underscore."""
IDENTITY = "state.json"
"""In the state container."""
CHECKED = MINUTE
"""Microseconds for which a container that was found to belong here is not checked again."""
MAX_BYTES = 1 << 16


class Identity(Data):
    """The identity of a state container, which distinguishes it even from a copy in another account."""

    format: int = 1
    state_id: str
    """Random."""
    name: str = ""
    """`account/container`, as it was when this was written: for people."""

    @classmethod
    def parse(cls, data: bytes, blob: str) -> Self:
        """The identity in these bytes. Raises LedgerError."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise LedgerError(
                f"{blob}: does not name a state container: {data[:60]!r}: restore it"
            ) from error


class Ownership:
    """Checks, at most once a minute, whether the output container belongs to this state container."""

    def __init__(
        self, storage: Storage, name: str, now: Callable[[], int], new_id: Callable[[], str]
    ) -> None:
        """`name` is `account/container` of the state, for people."""
        self._storage = storage
        self._name = name
        self._now = now
        self._new_id = new_id
        self._checked: int | None = None

    def check(self, function: FunctionName) -> None:
        """Claims an output container that has no marker; counts an alarm of this function if it cannot.

        Raises OutputConflict if it belongs to another state, LedgerError if nobody can tell, StorageError.
        """
        asked = self._now()
        if self._checked is not None and abs(asked - self._checked) < CHECKED:
            return
        try:
            ours = self._identity()
            theirs = marker(self._storage) or self._claim(ours)
            if theirs.state_id != ours.state_id:
                raise OutputConflict(conflict(ours, theirs))
        except LedgerError:
            self._checked = None
            telemetry.alarmed(function)
            raise
        self._checked = asked

    def _identity(self) -> Identity:
        """That of this state container, which gets one if it has none."""
        found = identity(self._storage)
        if found:
            return found
        made = Identity(state_id=self._new_id(), name=self._name)
        try:
            self._storage.write(IDENTITY, made.model_dump_json().encode(), None)
        except PreconditionFailed:
            found = identity(self._storage)
            if found is None:
                raise
            return found
        return made

    def _claim(self, ours: Identity) -> Identity:
        """Writes the marker; what it says then, which is another's if that was faster."""
        file = PendingFile(
            name=MARKER,
            block_ids=(f"{self._new_id()}-00000",),
            content_type="application/json",
            metadata={"state_id": ours.state_id},
            staged_at=self._now(),
        )
        self._storage.stage([StagedFile(file, ours.model_dump_json().encode())])
        (outcome,) = self._storage.publish([file])
        if outcome is Publication.DONE:
            return ours
        found = marker(self._storage)
        if found is None:
            raise PreconditionFailed(f"{MARKER}: was deleted at this moment")
        return found


def identity(storage: Storage) -> Identity | None:
    """What the state container is; None: nothing has run on it yet. Raises LedgerError."""
    blob = storage.read(IDENTITY)
    return Identity.parse(blob.data, IDENTITY) if blob else None


def marker(storage: Storage) -> Identity | None:
    """The state that the output container belongs to; None: no one's yet. Raises LedgerError."""
    if not storage.exists(MARKER):
        return None
    return Identity.parse(storage.part(MARKER, 0, MAX_BYTES), MARKER)


def conflict(ours: Identity | None, theirs: Identity) -> str:
    """Says that an output container belongs to another state, and what to do."""
    return (
        f"the output container belongs to the state container {theirs.name or '?'} ({theirs.state_id}),"
        f" not to {ours.name if ours else 'this one'} ({ours.state_id if ours else 'which is new'}):"
        " give this app an output container of its own, or set STATE_CONTAINER back;"
        f" if that state is gone for good, delete {MARKER} in the output container"
    )


def problem(storage: Storage) -> str | None:
    """What is wrong with the pair of containers, for `status`; None: nothing. Nothing is written."""
    try:
        ours, theirs = identity(storage), marker(storage)
    except LedgerError as error:
        return str(error)
    if theirs is None or (ours and ours.state_id == theirs.state_id):
        return None
    return f"nothing is exported: {conflict(ours, theirs)}"
