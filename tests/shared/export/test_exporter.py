"""The exporter makes few storage calls, and stops with a reason when it must."""

import gzip
from collections import Counter
from collections.abc import Callable

import orjson
import pytest

from shared.errors import LedgerMissing, LedgerRolledBack, LedgerTooNew, OutcomeUnknown, PreconditionFailed
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.policies import ExportPolicy
from shared.protocol.ledger import Ledger
from shared.timeunits import MINUTE
from tests.memory import MemoryStorage
from tests.records import ONE, PARTITION, TEN
from tests.shared.connections.world import World
from tests.shared.export.plans import envelope, record

NAME = Ledger.name(PARTITION)


class Counting(MemoryStorage):
    """Records the calls, and fails on request."""

    def __init__(self) -> None:
        super().__init__(lambda: TEN)
        self.calls: list[str] = []
        self.fails: Callable[[str, str], Exception | None] = lambda _kind, _name: None

    def call[T](self, kind: str, name: str, effect: Callable[[], T]) -> T:
        self.calls.append(kind)
        if error := self.fails(kind, name):
            raise error
        return effect()


@pytest.fixture
def storage() -> Counting:
    return Counting()


def exporter(storage: MemoryStorage, formats: tuple[str, ...] = ("parquet", "json")) -> Exporter:
    ids = iter(range(1, 10_000))
    return Exporter(
        storage,
        ExportPolicy(formats=formats),
        1 << 26,
        lambda: TEN,
        lambda: f"{next(ids):032x}",
    )


def batch(start: int, records: int = 3) -> list[Envelope]:
    return [envelope(start, *(record(f"{start}-{i}", 61 * (i % 2)) for i in range(records)))]


def test_a_returned_batch_is_visible_and_not_repeated(storage: Counting) -> None:
    one = exporter(storage)
    (commit,) = one.run(PARTITION, batch(0))
    assert all(storage.visible(file.pending.name) for file in commit.files)
    assert one.run(PARTITION, batch(0)) == []
    assert exporter(storage).run(PARTITION, batch(0)) == []


@pytest.mark.parametrize("formats", [("parquet",), ("parquet", "json")])
def test_a_commit_takes_two_calls_per_file_plus_three(storage: Counting, formats: tuple[str, ...]) -> None:
    one = exporter(storage, formats)
    one.run(PARTITION, batch(0))
    for n in range(1, 5):
        storage.calls.clear()
        (commit,) = one.run(PARTITION, batch(n))
        assert len(commit.files) == 2 * len(formats)
        assert len(storage.calls) <= 2 * len(commit.files) + 3, storage.calls


@pytest.mark.parametrize(("formats", "calls"), [(("parquet",), 4), (("parquet", "json"), 6)])
def test_a_commit_of_one_hour_takes_four_calls_or_six(
    storage: Counting, formats: tuple[str, ...], calls: int
) -> None:
    one = exporter(storage, formats)
    one.run(PARTITION, batch(0, 1))
    storage.calls.clear()
    one.run(PARTITION, batch(1, 1))
    assert len(storage.calls) == calls, storage.calls


def test_duplicates_take_no_call_while_the_ledger_is_cached(storage: Counting) -> None:
    one = exporter(storage)
    one.run(PARTITION, batch(0))
    storage.calls.clear()
    one.run(PARTITION, batch(0))
    assert storage.calls == []


def test_after_an_error_the_ledger_is_read_again(storage: Counting) -> None:
    one = exporter(storage)
    one.run(PARTITION, batch(0))
    storage.fails = lambda kind, _: OutcomeUnknown("down") if kind == "write" else None
    with pytest.raises(OutcomeUnknown):
        one.run(PARTITION, batch(1))
    storage.fails = lambda _kind, _name: None
    storage.calls.clear()
    one.run(PARTITION, batch(1))
    assert "read" in storage.calls


def test_commits_happen_once_although_the_timer_empties_the_list() -> None:
    world = World()
    calls: Counter[str] = Counter()

    class Counted(MemoryStorage):
        def call[T](self, kind: str, name: str, effect: Callable[[], T]) -> T:
            calls[kind] += 1
            return super().call(kind, name, effect)

    storage = Counted(lambda: world.now)
    storage.state, storage.output = world.storage.state, world.storage.output
    storage._writes = 1_000_000  # its ETags are its own
    quiet = Exporter(storage, ExportPolicy(), 1 << 20, lambda: world.now, world.new_id)
    for n in range(50):
        quiet.run(ONE, [world.arrive(ONE, (f"c{n}", "Opened", 300 * n))])
        world.later(3 * MINUTE)
        world.now += 2 * MINUTE
    assert world.ledger(ONE).files == ()
    per_commit = dict.fromkeys(("stage", "put", "write", "publish", "names"), 50)
    # The ledger and the timer's state each time; before the first commit, whether the timer knows more.
    # Once an hour, the timer's state and its table of one part, to forget the same connections.
    assert calls == {**per_commit, "read": 2 * 50 + 1 + 2 * 5}


def test_a_ledger_changed_by_another_owner_is_loaded_again(storage: Counting) -> None:
    first, second = exporter(storage), exporter(storage)
    first.run(PARTITION, batch(0))
    second.run(PARTITION, [*batch(0), *batch(1)])
    assert [one.counts.envelopes for one in first.run(PARTITION, [*batch(1), *batch(2)])] == [1]


def test_repeated_conflicts_end_in_an_error(storage: Counting) -> None:
    storage.fails = lambda kind, _: PreconditionFailed("no") if kind == "write" else None
    with pytest.raises(PreconditionFailed):
        exporter(storage).run(PARTITION, batch(0))
    assert storage.calls.count("write") == 10


def test_a_missing_known_ledger_stops_its_partition(storage: Counting) -> None:
    one = exporter(storage)
    one.run(PARTITION, batch(0))
    storage.fails = lambda kind, _: PreconditionFailed("no") if kind == "write" else None
    with pytest.raises(PreconditionFailed):
        one.run(PARTITION, batch(1))
    storage.fails = lambda _kind, _name: None
    storage.delete([NAME])
    with pytest.raises(LedgerMissing, match=r"ledgers/space\.servicebus.* ordinal 1 .*accept"):
        one.run(PARTITION, batch(1))
    assert NAME not in storage.state


def test_an_older_ledger_stops_its_partition(storage: Counting) -> None:
    one = exporter(storage)
    one.run(PARTITION, batch(0))
    old = storage.state[NAME].data
    one.run(PARTITION, batch(1))
    storage.put(NAME, old)
    with pytest.raises(LedgerRolledBack, match="ordinal 1"):
        one.run(PARTITION, batch(2))


def test_a_newer_programs_ledger_is_refused_and_left_unchanged(storage: Counting) -> None:
    exporter(storage).run(PARTITION, batch(0))
    newer = storage.state[NAME].data.replace(b'"format":1', b'"format":2')
    storage.put(NAME, newer)
    with pytest.raises(LedgerTooNew, match="format 2"):
        exporter(storage).run(PARTITION, batch(1))
    assert storage.state[NAME].data == newer


def test_keys_of_a_later_program_survive_a_commit(storage: Counting) -> None:
    exporter(storage).run(PARTITION, batch(0))
    storage.put(NAME, storage.state[NAME].data.replace(b'"format":1', b'"format":1,"later":[1]'))
    exporter(storage).run(PARTITION, batch(1))
    assert b'"later":[1]' in storage.state[NAME].data


def test_starts_of_connections_survive_a_restart(storage: Counting) -> None:
    early, late = envelope(0, record("c", 30)), envelope(1, record("c"))
    exporter(storage, ("json",)).run(PARTITION, [early])
    exporter(storage, ("json",)).run(PARTITION, [late])
    rows = [
        orjson.loads(line)
        for blob in storage.output.values()
        for line in gzip.decompress(blob.data or b"").splitlines()
    ]
    assert {row["ConnectionDurationMs"] for row in rows} == {None, 30 * 60 * 1000.0}
    assert len({row["ConnectionStartTime"] for row in rows}) == 1
