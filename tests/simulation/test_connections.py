"""Every record counts once, and the last revision is right, for all partitions, timers and clocks."""

from collections.abc import Callable

import pyarrow as pa
import pytest

from shared.connections import finishing, manifest, start_times, state_merge, state_table, timer
from shared.connections.manifest import Manifest
from shared.protocol import ledger
from shared.protocol.hub import Position
from shared.protocol.ledger import Ledger, Segment
from tests.effort import effort
from tests.memory import MemoryStorage
from tests.simulation.network import Network, Options
from tests.simulation.network_invariants import violations

LARGE = Options(connections=effort(1_000, 25_000))
SMALL = Options(connections=effort(200, 600), faults=15, crashes=8, replays=True)
type Patch = Callable[[pytest.MonkeyPatch, Network], None]


def run(seed: int, options: Options) -> Network:
    network = Network(seed, options)
    network.run()
    return network


@pytest.mark.parametrize("seed", range(effort(1, 8)))
def test_rows_of_many_connections_are_correct(seed: int) -> None:
    assert list(violations(run(seed, LARGE))) == []


@pytest.mark.parametrize("seed", range(4, effort(5, 40)))
def test_rows_are_correct_despite_many_faults(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Small limits, so that indexes, chunks and parts are used.
    monkeypatch.setattr(ledger, "LISTED", 4)
    monkeypatch.setattr(timer, "CHUNK", 50)
    monkeypatch.setattr(state_merge, "ENOUGH", 20)
    monkeypatch.setattr(state_table, "PART_ROWS", 20)
    assert list(violations(run(seed, SMALL))) == []


def test_the_same_seed_gives_the_same_world() -> None:
    options = Options(connections=30, idle=4)
    one, two = run(1, options), run(1, options)
    assert one.storage.state.keys() == two.storage.state.keys()
    assert one.calls == two.calls


def the_watermark_is_a_sequence_number(patch: pytest.MonkeyPatch, _network: Network) -> None:
    with_segment = Ledger.with_segment

    def by_sequence(self: Ledger, segment: Segment) -> tuple[Ledger, bytes | None]:
        # Far above all ordinals, with which some code compares it.
        return with_segment(self, segment.model_copy(update={"ordinal": (self.incarnation.next or 0) << 20}))

    patch.setattr(Ledger, "with_segment", by_sequence)


def the_clock_is_that_of_the_wall(patch: pytest.MonkeyPatch, network: Network) -> None:
    patch.setattr(Manifest, "clock", property(lambda _self: network.now))


def a_source_counts_as_drained_when_it_is_not(patch: pytest.MonkeyPatch, _network: Network) -> None:
    patch.setattr(Position, "drained", lambda _self, _incarnation: True)


def the_head_is_written_whoever_wrote_it_before(patch: pytest.MonkeyPatch, _network: Network) -> None:
    write = MemoryStorage.write

    def unconditional(self: MemoryStorage, name: str, data: bytes, etag: str | None) -> str:
        if name != manifest.NAME:
            return write(self, name, data, etag)
        return self.call("write", name, lambda: self._put(name, data))

    patch.setattr(MemoryStorage, "write", unconditional)


def a_process_remembers_what_the_table_has_forgotten(patch: pytest.MonkeyPatch, _network: Network) -> None:
    patch.setattr(start_times, "REMEMBERED", 1 << 60)


def a_row_is_told_by_its_connection_alone(patch: pytest.MonkeyPatch, _network: Network) -> None:
    patch.setattr(finishing, "_hexadecimal", lambda rows, _name: pa.array(["0" * 32] * rows.num_rows))


RULES: list[tuple[Patch, int]] = [
    (the_watermark_is_a_sequence_number, 2),
    (the_clock_is_that_of_the_wall, 2),
    (a_source_counts_as_drained_when_it_is_not, 2),
    (a_process_remembers_what_the_table_has_forgotten, 3),
    (a_row_is_told_by_its_connection_alone, 0),
    (the_head_is_written_whoever_wrote_it_before, 0),
]


@pytest.mark.parametrize(("rule", "first"), RULES, ids=[rule.__name__ for rule, _ in RULES])
def test_without_the_rule_an_invariant_is_violated(
    rule: Patch, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(first, first + 10):
        network = Network(seed, Options(connections=80, idle=4))
        with monkeypatch.context() as patch:
            rule(patch, network)
            network.run()
        if list(violations(network)):
            return
    pytest.fail("no invariant was violated")
