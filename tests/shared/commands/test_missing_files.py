"""Committed events whose files are gone are found by the files that are left."""

from collections.abc import Iterator
from itertools import count

import pytest

from shared.commands.missing_files import exported
from shared.compaction import compaction_state
from shared.errors import LedgerError
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.intervals import Interval
from shared.policies import ExportPolicy
from shared.protocol.ledger import Ledger, Lost, PendingFile
from shared.protocol.storage import BlobInfo
from shared.timeunits import HOUR
from tests import records
from tests.memory import MemoryStorage
from tests.records import EPOCH, PARTITION, record

BOTH = ExportPolicy(formats=("parquet", "json"))
PARQUET = ExportPolicy(formats=("parquet",))


def envelope(sequence: int, **more: object) -> Envelope:
    return records.envelope(sequence, EPOCH, record(EPOCH - HOUR, "c", "Message", **more))


class Output:
    """The output of one partition."""

    def __init__(self) -> None:
        self.storage = MemoryStorage(lambda: EPOCH)
        self._ids = (f"{n:032x}" for n in count())

    def commit(self, *envelopes: Envelope, policy: ExportPolicy = BOTH) -> None:
        Exporter(self.storage, policy, 1 << 24, lambda: EPOCH, lambda: next(self._ids)).run(
            PARTITION, envelopes
        )

    @property
    def ledger(self) -> Ledger:
        """The ledger without the list of the last commit."""
        ledger = Ledger.parse(self.storage.state[Ledger.name(PARTITION)].data, "")
        return ledger.model_copy(update={"files": ()})

    def delete(self, part: str) -> None:
        for name in [name for name in self.storage.output if part in name]:
            del self.storage.output[name]

    def lacking(self) -> tuple[Interval, ...]:
        return exported(self.storage, self.ledger).lacking(self.ledger)

    def lost(self, *envelopes: Envelope, policy: ExportPolicy) -> dict[str, tuple[Interval, ...]]:
        found = exported(self.storage, self.ledger)
        return {
            one.folder.partition("/")[0]: one.sequences for one in found.lost(PARTITION, 0, envelopes, policy)
        }


@pytest.fixture
def output() -> Output:
    one = Output()
    one.commit(envelope(0), envelope(1))
    one.commit(envelope(2), envelope(3, time=None))
    return one


def test_nothing_is_missing_if_all_commits_have_their_files(output: Output) -> None:
    assert output.lacking() == ()
    assert exported(output.storage, output.ledger).complete == ((0, 3),)


def test_a_commit_may_have_several_files_of_an_hour() -> None:
    one = Output()
    one.commit(envelope(0), policy=PARQUET)
    ((name, blob),) = one.storage.output.items()
    blob.metadata = {**blob.metadata, "commit_files": "2"}
    assert exported(one.storage, one.ledger).partial == ((0, 0),)
    one.storage.output[name.replace(".parquet", "-00001.parquet")] = blob
    assert exported(one.storage, one.ledger).complete == ((0, 0),)


def test_a_commit_without_files_is_searched_for_and_not_lost(output: Output) -> None:
    foreign = envelope(4, category="GatewayLogs")
    output.commit(foreign)
    assert output.lacking() == ((4, 4),)
    assert output.lost(foreign, policy=BOTH) == {}


def test_only_the_missing_files_of_a_commit_are_lost(output: Output) -> None:
    output.delete("json/")
    assert output.lacking() == ((0, 3),)
    events = [envelope(0), envelope(1), envelope(2), envelope(3, time=None)]
    assert output.lost(*events, policy=PARQUET) == {"json": ((0, 2),)}, "the dead letter of 3 is there"
    output.delete("_dead")
    assert output.lost(*events, policy=PARQUET) == {"json": ((0, 2),), "_dead_letters": ((3, 3),)}


def test_a_commit_without_files_is_exported_in_todays_formats(output: Output) -> None:
    output.commit(envelope(4), policy=PARQUET)
    for part in ("parquet/", "json/", "_dead"):
        output.delete(part)
    events = [envelope(0), envelope(4)]
    assert output.lost(*events, policy=PARQUET) == {"parquet": ((0, 0), (4, 4))}
    assert output.lost(*events, policy=BOTH).keys() == {"parquet", "json"}


def test_commits_in_one_format_do_not_lack_the_other(output: Output) -> None:
    output.commit(envelope(4), envelope(5, time=None), policy=PARQUET)
    output.delete("_dead")
    assert output.lost(envelope(4), policy=BOTH) == {}


def test_files_being_published_or_refilled_are_not_missing(output: Output) -> None:
    output.delete("parquet/")
    ledger = Ledger.parse(output.storage.state[Ledger.name(PARTITION)].data, "")
    found = exported(output.storage, ledger)
    assert found.lacking(ledger) == ((0, 1),), "2 and 3 are listed"
    noted = Lost(folder="parquet/x/", incarnation=0, sequences=((0, 0),))
    assert found.lacking(ledger.model_copy(update={"lost": (noted,)})) == ((1, 1),)
    other = noted.model_copy(update={"incarnation": 1})
    assert found.lacking(ledger.model_copy(update={"lost": (other,)})) == ((0, 1),)


def test_commits_before_the_hub_was_created_are_excluded(output: Output) -> None:
    now = output.ledger.incarnation.model_copy(update={"created": EPOCH + 1})
    assert exported(output.storage, output.ledger.with_incarnation(now)).complete == ()


def test_an_error_is_raised_while_compaction_moves_files(
    output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = output.ledger
    moving = compaction_state.Swap(folder="f/", inputs=("a",), output=_pending(output), began=EPOCH)
    idle = compaction_state.CompactionState().dump()
    output.storage._put(compaction_state.NAME, compaction_state.CompactionState().beginning(moving).dump())
    with pytest.raises(LedgerError, match="moving files"):
        exported(output.storage, listed)
    output.storage._put(compaction_state.NAME, idle)
    outputs = output.storage.outputs

    def compacted_meanwhile(prefix: str) -> Iterator[BlobInfo]:
        yield from outputs(prefix)
        output.storage._put(compaction_state.NAME, idle)

    monkeypatch.setattr(output.storage, "outputs", compacted_meanwhile)
    with pytest.raises(LedgerError, match="compacted in the meantime"):
        exported(output.storage, listed)


def _pending(output: Output) -> PendingFile:
    return Ledger.parse(output.storage.state[Ledger.name(PARTITION)].data, "").files[0]
