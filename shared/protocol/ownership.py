"""Ensures that an output container has one state container, with a marker that names it."""

from typing import Self

from pydantic import ValidationError

from shared import telemetry
from shared.errors import LedgerError, OutputConflict, PreconditionFailed
from shared.protocol.documents import Data
from shared.protocol.ledger import PendingFile, StagedFile
from shared.protocol.stamp import Clock, NewId
from shared.protocol.storage import Publication, Storage
from shared.telemetry import FunctionName
from shared.timeunits import MINUTE

MARKER = "_state.json"
"""The marker in the output container; readers skip names that start with an underscore."""
IDENTITY = "state.json"
"""The identity in the state container."""
CHECKED = MINUTE
"""Microseconds for which a successful check of a container is valid."""
MAX_BYTES = 1 << 16


class Identity(Data):
    """The identity of a state container, which distinguishes it even from a copy in another account."""

    format: int = 1
    state_id: str
    """A random id."""
    name: str = ""
    """`account/container` at the time of writing, for people."""

    @classmethod
    def parse(cls, data: bytes, blob: str) -> Self:
        """Parses an identity. Raises LedgerError."""
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise LedgerError(
                f"{blob} does not identify a state container: {data[:60]!r}: restore it"
            ) from error


class Ownership:
    """Checks, at most once a minute, whether the output container belongs to this state container."""

    def __init__(self, storage: Storage, name: str, now: Clock, new_id: NewId) -> None:
        """`name` is `account/container` of the state, for people."""
        self._storage = storage
        self._name = name
        self._now = now
        self._new_id = new_id
        self._checked: int | None = None

    def check(self, function: FunctionName) -> None:
        """Checks the output container, and claims it if it has no marker. A LedgerError counts as an alarm.

        `function`: the function that counts the alarm. Raises OutputConflict (a LedgerError) if the container
        belongs to another state, LedgerError if that is unknown, and StorageError.
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
        """Returns the identity of this state container, and creates one if there is none."""
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
        """Writes the marker and returns its content, which names another state if that one was faster."""
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
            raise PreconditionFailed(f"{MARKER} was deleted in the meantime")
        return found


def identity(storage: Storage) -> Identity | None:
    """Returns the identity of the state container; None if nothing has run on it yet. Raises LedgerError."""
    blob = storage.read(IDENTITY)
    return Identity.parse(blob.data, IDENTITY) if blob else None


def marker(storage: Storage) -> Identity | None:
    """Returns the state that owns the output container; None if there is none yet. Raises LedgerError."""
    if not storage.exists(MARKER):
        return None
    return Identity.parse(storage.part(MARKER, 0, MAX_BYTES), MARKER)


def conflict(ours: Identity | None, theirs: Identity) -> str:
    """Describes that an output container belongs to another state, and what to do."""
    return (
        f"the output container belongs to the state container {theirs.name or '?'} ({theirs.state_id}),"
        f" not to {ours.name if ours else 'this one'} ({ours.state_id if ours else 'which is new'}):"
        " give this app its own output container, or set STATE_CONTAINER back;"
        f" if that state is permanently lost, delete {MARKER} in the output container"
    )


def problem(storage: Storage) -> str | None:
    """Returns a problem with the two containers for `status`, or None. Writes nothing."""
    try:
        ours, theirs = identity(storage), marker(storage)
    except LedgerError as error:
        return str(error)
    if theirs is None or (ours and ours.state_id == theirs.state_id):
        return None
    return f"nothing is exported: {conflict(ours, theirs)}"
