"""Erasing removes exactly the matching rows under all faults, and each of its rules is needed."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from shared.compaction import erasures
from shared.connections.manifest import Part
from shared.erasure import connection_state
from shared.erasure.file_eraser import Erased, Eraser
from shared.erasure.selection import Selection
from shared.policies import CompactionPolicy
from shared.protocol.stamp import Stamp
from shared.protocol.storage import BlobInfo, Storage
from shared.timeunits import MINUTE
from tests.audits import audited, findings
from tests.effort import effort
from tests.memory import MemoryStorage
from tests.records import LATER
from tests.shared.erasure.made import HIM, Made
from tests.simulation import network_invariants
from tests.simulation.invariants import violations
from tests.simulation.network import Network
from tests.simulation.network import Options as NetworkOptions
from tests.simulation.run import explain, run
from tests.simulation.schedule import Choices
from tests.simulation.stage import FOLDER, Effect, Stage
from tests.simulation.test_compaction import the_state_is_written_whoever_wrote_it_before
from tests.simulation.world import Options, World

PARQUET, JSON = Options(compact=True, erase="parquet"), Options(compact=True, erase="json")
SCENARIOS = {
    "Parquet": PARQUET,
    "JSON Lines": JSON,
    "many faults": Options(compact=True, erase="parquet", faults=300),
    "one envelope a commit": Options(compact=True, erase="json", commit_bytes=1, faults=200),
    "blocks expire": Options(compact=True, erase="parquet", week=True, faults=250),
    "Delta log": Options(compact=True, erase="parquet", delta=True),
}
SCHEDULES = effort(1, 200)
ENOUGH = 100
type Patch = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.usefixtures("short_pages")
@pytest.mark.parametrize("options", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_exactly_the_matching_rows_are_erased(options: Options) -> None:
    for seed in range(SCHEDULES):
        failure = explain(seed, options)
        assert failure is None, failure


@pytest.mark.parametrize("options", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_the_remaining_rows_are_proven(options: Options) -> None:
    for seed in range(1000, effort(1001, 1040)):
        assert refuted(run(Choices(seed), options)) == [], seed


def refuted(world: World) -> list[str]:
    report = audited(world.storage)
    return [one.message for part in report.partitions for one in part.findings if report.status]


def test_schedules_reach_the_intended_situations() -> None:
    seen: Counter[str] = Counter()
    for seed in range(1, 3):
        log = run(Choices(seed), SCENARIOS["many faults"]).log
        for line in log[: log.index("--- from here on nothing goes wrong")]:
            if "eraser" in line:
                seen["committed"] += "write compaction.json" in line and line.endswith("ok")
                seen["late"] += line.startswith("late call of eraser")
                seen["died"] += line.endswith("died")
                seen["deleted"] += ": remove" in line
    assert min(seen[what] for what in ("committed", "late", "died", "deleted")) >= 1, seen


def what_a_ledger_lists_is_erased_too(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Eraser, "_listed", lambda _self, _files: set())


def erasures_are_not_noted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(erasures, "note", lambda _storage, _file, _commit_id: None)


MUTATIONS: list[tuple[Patch, Options, int]] = [
    (what_a_ledger_lists_is_erased_too, Options(compact=True, erase="parquet", faults=250), 2),
    (the_state_is_written_whoever_wrote_it_before, Options(compact=True, erase="parquet", faults=250), 0),
    (erasures_are_not_noted, PARQUET, 0),
]


@pytest.mark.parametrize(
    ("mutate", "options", "seed"), MUTATIONS, ids=[mutate.__name__ for mutate, *_ in MUTATIONS]
)
def test_without_the_rule_an_invariant_is_violated(
    mutate: Patch, options: Options, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    worlds = (run(Choices(one), options) for one in range(seed, seed + ENOUGH))
    assert any(next(violations(world), None) or refuted(world) for world in worlds)


# -- a schedule written by hand: chance rarely delays both requests of one file -------------------------


def files_are_erased_however_young(patch: pytest.MonkeyPatch) -> None:
    judge = Eraser._judge

    def hasty(self: Eraser, file: BlobInfo, rows: int, *others: Any) -> bool:
        return judge(self, replace(file, metadata={**file.metadata, "committed_at": "0"}), rows, *others)

    patch.setattr(Eraser, "_judge", hasty)


def a_file_is_sent_twice_and_erased_in_between() -> Iterator[str]:
    """Yields what is wrong after its second requests arrive, within the quiet time, and at the end."""
    stage = Stage()
    sent: dict[str, Effect] = {}
    for kind in ("stage", "publish"):

        def twice(effect: Effect, kind: str = kind) -> None:
            sent[kind] = effect

        stage.instead(kind, FOLDER, twice)
    stage.export(0, 5)
    rows = Counter(row for name in stage.names() for row in stage.rows(name))
    his = min(rows)

    def erase() -> Erased:
        selection = Selection("CorrelationId", (his,))
        policy = CompactionPolicy()
        eraser = Eraser(stage.storage, policy, selection, lambda: stage.now, lambda: uuid.uuid4().hex)
        return eraser.erase(lambda *_: None)

    stage.now += 50 * MINUTE
    erased = set[str]() if erase().left else {his}
    for effect in sent.values():
        effect()
    seen = Counter(row for name in stage.names() for row in stage.rows(name))
    yield from (f"visible twice: {row}" for row, times in seen.items() if times > 1)
    yield from (f"was erased, and came back: {row}" for row in erased & seen.keys())
    stage.now += 11 * MINUTE
    if erase().left:
        yield "cannot be erased after the quiet time"
    if Counter(row for name in stage.names() for row in stage.rows(name)) != rows - Counter([his]):
        yield "other rows are there in the end"


def test_a_file_with_requests_in_flight_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(a_file_is_sent_twice_and_erased_in_between()) == []
    files_are_erased_however_young(monkeypatch)
    found = list(a_file_is_sent_twice_and_erased_in_between())
    assert any("came back" in violation for violation in found)
    assert any("visible twice" in violation for violation in found)


# -- open connections ------------------------------------------------------------------------------------

CONNECTIONS = NetworkOptions(
    connections=effort(10, 400), idle=4, faults=5, crashes=2, replays=True, erase=True
)


def test_exactly_the_matching_connections_are_erased() -> None:
    seen: Counter[str] = Counter()
    for seed in range(5, effort(6, 40)):
        network = network_run(seed, CONNECTIONS)
        assert list(network_invariants.violations(network)) == [], seed
        seen += network.seen
    assert seen["manifests of eraser a"] + seen["manifests of eraser b"] >= 1
    assert seen["erased"] >= 1


def the_manifest_is_written_whoever_wrote_it_before(patch: pytest.MonkeyPatch) -> None:
    erase = connection_state.erase

    class Unconditional:
        """Storage whose documents are written unconditionally."""

        def __init__(self, storage: Any) -> None:
            self.storage = storage

        def __getattr__(self, name: str) -> Any:
            return getattr(self.storage, name)

        def write(self, name: str, data: bytes, _etag: str | None) -> str:
            found: str = self.storage.call("write", name, lambda: self.storage._put(name, data))
            return found

    def overwriting(storage: Any, *others: Any) -> int:
        return erase(Unconditional(storage) if isinstance(storage, MemoryStorage) else storage, *others)

    patch.setattr(connection_state, "erase", overwriting)


def open_connections_stay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(connection_state, "erase", lambda *_: 0)


def merged_observations_stay_listed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(connection_state, "forget", lambda *_: None)


STATE_MUTATIONS: list[Patch] = [open_connections_stay, merged_observations_stay_listed]


@pytest.mark.parametrize("mutate", STATE_MUTATIONS)
def test_without_a_state_table_rule_an_invariant_is_violated(
    mutate: Patch, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    networks = (network_run(seed, CONNECTIONS) for seed in range(5, 15))
    assert any(next(network_invariants.violations(network), None) for network in networks)


def the_timer_finishes_connections_while_the_state_table_is_read(patch: pytest.MonkeyPatch) -> list[str]:
    """Returns what is wrong in the end."""
    made = Made()
    made.export(0, 11)
    made.finish(idle=timedelta(hours=24))
    made.export(12, 14)
    read = connection_state._read

    def overtaken(storage: Storage, part: Part) -> pa.Table:
        patch.setattr(connection_state, "_read", read)
        rows = read(storage, part)
        made.finish()
        return rows

    patch.setattr(connection_state, "_read", overtaken)
    connection_state.erase(
        made.storage, Selection("Source", (HIM,)), lambda: Stamp(made.new_id(), made.tick())
    )
    made.now = LATER
    made.finish()
    ids = made.ids("parquet/ApiManagementWebSocketConnectionRevisions/")
    twice = [f"is there {times} times: {id_}" for id_, times in ids.items() if times > 1]
    return [*twice, *(finding.message for finding in findings(made.audit()))]


def test_a_faster_timer_loses_and_duplicates_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert the_timer_finishes_connections_while_the_state_table_is_read(monkeypatch) == []
    the_manifest_is_written_whoever_wrote_it_before(monkeypatch)
    assert the_timer_finishes_connections_while_the_state_table_is_read(monkeypatch)


def network_run(seed: int, options: NetworkOptions) -> Network:
    network = Network(seed, options)
    network.run()
    return network
