"""Adopts a ledger that was lost or rolled back: an operator takes what is there for the right one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from shared.audit import contents
from shared.audit.evidence import Said
from shared.compaction.compaction import is_own
from shared.durations import head
from shared.durations.head import Absorbed, Head
from shared.errors import LedgerError, Refused
from shared.ledger import Ledger
from shared.storage import Storage


@dataclass(frozen=True, slots=True)
class Blocked:
    """A source that stands still, because its ledger is not what the timer has seen of it."""

    source: str
    ledger: Ledger | None
    """As it is; None: it is gone."""
    seen: int
    """The ordinal that was seen of it."""

    @property
    def problem(self) -> str:
        """In words."""
        if self.ledger and self.ledger.ordinal >= self.seen:
            return (
                f"it dropped what was absorbed up to ordinal {self.ledger.trimmed}, which the head does not "
                "know: the head is gone or older, and those connections with it"
            )
        if self.ledger is None:
            return f"its ledger is gone; the timer has seen it at ordinal {self.seen}"
        at = f"its ledger is at ordinal {self.ledger.ordinal}"
        return f"{at}; the timer has seen it, or another one, at {self.seen}"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What the container shows that the ledger to be adopted does not know of."""

    files: int
    rows: int
    """Of all these files, dead letters too."""
    last: int
    """The highest sequence number among them."""


def blocked(storage: Storage) -> list[Blocked]:
    """Every source that an operator has to decide on. Raises LedgerError for a ledger that cannot be read."""
    blob = storage.read(head.NAME)
    current = Head.parse(blob.data) if blob else Head()
    found = []
    named = {name.removeprefix("ledgers/").removesuffix(".json") for name in storage.names("ledgers/")}
    for source in sorted(named | current.sources.keys()):
        ledger = _ledger(storage, source)
        absorbed = current.sources.get(source, Absorbed())
        gone = absorbed.ledger_id and ledger is None
        if gone or (ledger and (current.rolled_back(ledger) or current.behind(ledger))):
            found.append(Blocked(source, ledger, absorbed.seen))
    return found


def forgotten(storage: Storage, one: Blocked) -> Forgotten:
    """What was committed and would be exported once more, if the hub delivered it again."""
    files = rows = 0
    last = -1
    for metadata in _exported(storage):
        said = Said.of(metadata)
        if said and said.source == one.source:
            known = one.ledger and said.ledger_id == one.ledger.ledger_id
            if not known or (one.ledger and said.ordinal > one.ledger.ordinal):
                files += 1
                rows += int(metadata["rows"])
                last = max(last, int(metadata["last_sequence"]))
    return Forgotten(files, rows, last)


def _exported(storage: Storage) -> Iterator[Mapping[str, str]]:
    """The metadata of every file as it was exported: those that compaction has replaced, too."""
    for file in storage.outputs(""):
        if "compacted" in file.metadata and is_own(file):
            yield from (origin.metadata for origin in contents.origins(storage, file))
        else:
            yield file.metadata


def adopt(storage: Storage, one: Blocked, commit_id: str, now: int) -> None:
    """Lets the source go on from its ledger as it is, or from nothing. Raises Refused if that has changed."""
    blob = storage.read(head.NAME)
    ledger = _ledger(storage, one.source)
    if ledger != one.ledger:
        raise Refused(f"{one.source}: its ledger has changed meanwhile: look at it again")
    current = Head.parse(blob.data) if blob else Head()
    gone = {part.name for part in current.parts} - set(storage.names("master/"))
    after = current.without_parts(gone).adopting(one.source, ledger).written(commit_id, now)
    storage.write(head.NAME, after.dump(), blob.etag if blob else None)


def _ledger(storage: Storage, source: str) -> Ledger | None:
    name = f"ledgers/{source}.json"
    blob = storage.read(name)
    try:
        return Ledger.parse(blob.data, name) if blob else None
    except LedgerError as error:
        raise LedgerError(f"{error}: restore it, or delete it and adopt that it is gone") from error
