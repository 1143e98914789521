"""Says how each source stands, from the state container alone: read-only, and cheap enough to watch."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from shared import head
from shared.errors import LedgerError
from shared.head import HOUR, Head
from shared.ledger import Ledger
from shared.storage import Storage


@dataclass(slots=True)
class Standing:
    """How one source stands."""

    source: str
    ledger: Ledger | None
    alarms: list[str] = field(default_factory=list)
    """What an operator should look at."""

    @property
    def replay(self) -> bool:
        """Whether these are dead letters of another source, replayed."""
        return "~" in self.source

    @property
    def gaps(self) -> int:
        """Sequence numbers that never came; of a replay, nothing was to come."""
        if self.ledger is None or self.replay:
            return 0
        return sum(last - first + 1 for first, last in self.ledger.incarnation.gaps)


def status(storage: Storage, now: int) -> list[Standing]:
    """Every source that has a ledger, or had one; `now` in µs since 1970 UTC."""
    blob = storage.read(head.NAME)
    seen = Head.parse(blob.data) if blob else Head()
    standings: dict[str, Standing] = {}
    names = storage.names("ledgers/")
    for name, found in zip(names, storage.read_all(names), strict=True):
        source = name.removeprefix("ledgers/").removesuffix(".json")
        try:
            ledger = Ledger.parse(found.data, name) if found else None
        except LedgerError as error:
            standings[source] = Standing(source, None, [str(error)])
            continue
        if ledger:
            standings[source] = Standing(source, ledger, list(_alarms(ledger, seen, now)))
    for source, absorbed in seen.sources.items():
        if absorbed.ledger_id and source not in standings:
            standings[source] = Standing(
                source, None, ["its ledger is gone: restore it, or see `python -m shared adopt`"]
            )
    return sorted(standings.values(), key=lambda one: one.source)


def _alarms(ledger: Ledger, seen: Head, now: int) -> Iterator[str]:
    if seen.rolled_back(ledger):
        yield "its ledger is older than what was seen of it, or another one: see `python -m shared adopt`"
    if ledger.lost:
        yield f"{len(ledger.lost)} files are lost: `python -m shared audit` says which"
    age = now - ledger.committed_at
    if ledger.files and age > HOUR:
        yield f"{len(ledger.files)} files may be unpublished for {age // 60_000_000} min: does the timer run?"
