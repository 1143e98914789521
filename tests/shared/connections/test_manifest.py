"""The manifest keeps the progress of partitions, counts of event names, and totals."""

import pytest

from shared.connections.manifest import FEW, NAMES, EventNameCounts, Manifest, PartitionProgress, Totals
from shared.errors import LedgerError, LedgerTooLarge, LedgerTooNew
from shared.protocol.ledger import Ledger, PendingFile
from shared.timeunits import DAY, HOUR

LEDGER = Ledger(ledger_id="a", partition="ns/hub/0", ordinal=7)
NOW = 10 * DAY


def manifest(**partitions: PartitionProgress) -> Manifest:
    names = {f"ns/hub/{name[1:]}": one for name, one in partitions.items()}
    return Manifest(partitions=names, hub=("ns/hub/0", "ns/hub/1"))


def test_keys_of_a_newer_program_survive_a_rewrite() -> None:
    data = manifest(s0=PartitionProgress(ledger_id="a", ordinal=3)).dump()[:-1] + b',"new":[1]}'
    again = Manifest.parse(data)
    assert again.partitions["ns/hub/0"].ordinal == 3
    assert Manifest.parse(again.written("c", 1).dump()).model_extra == {"new": [1]}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"ordinal":"x"}'])
def test_other_content_is_an_error(data: bytes) -> None:
    with pytest.raises(LedgerError, match="is damaged"):
        Manifest.parse(data)


def test_a_newer_format_is_refused() -> None:
    with pytest.raises(LedgerTooNew):
        Manifest.parse(b'{"format":2}')


def test_a_manifest_always_fits_into_one_put_blob() -> None:
    with pytest.raises(LedgerTooLarge):
        Manifest(lost=("x" * 1000,) * 5000).dump()


def test_the_clock_is_the_earliest_progress_of_any_partition() -> None:
    assert manifest(s0=PartitionProgress(progress=5), s1=PartitionProgress(progress=9)).clock == 5
    assert (
        manifest(
            s0=PartitionProgress(progress=5),
            s1=PartitionProgress(progress=9),
            s2=PartitionProgress(progress=1),
        ).clock
        == 5
    )


def test_an_unknown_partition_stops_the_clock() -> None:
    assert manifest(s0=PartitionProgress(progress=5)).clock == -1
    assert Manifest().clock == -1


def test_a_watermark_belongs_to_one_ledger() -> None:
    at = manifest(s0=PartitionProgress(ledger_id="a", ordinal=3))
    assert at.watermark(LEDGER) == 3
    assert at.watermark(LEDGER.model_copy(update={"ledger_id": "b"})) == 0
    assert Manifest().watermark(LEDGER) == 0


@pytest.mark.parametrize(
    ("merged", "rolled_back"),
    [
        (PartitionProgress(ledger_id="a", seen=7), False),
        (PartitionProgress(ledger_id="a", seen=8), True),
        (PartitionProgress(ledger_id="b", seen=1), True),
        (PartitionProgress(progress=3), False),
    ],
)
def test_a_ledger_older_than_seen_was_rolled_back(
    merged: PartitionProgress,
    rolled_back: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert manifest(s0=merged).rolled_back(LEDGER) is rolled_back
    assert not Manifest().rolled_back(LEDGER)


def test_accepting_a_ledger_keeps_its_merged_commits() -> None:
    before = manifest(
        s0=PartitionProgress(ledger_id="a", ordinal=9, seen=9, progress=5), s1=PartitionProgress(progress=9)
    )
    after = before.accepting("ns/hub/0", LEDGER)
    assert not after.rolled_back(LEDGER)
    assert after.watermark(LEDGER) == 7
    assert after.partitions["ns/hub/1"] == before.partitions["ns/hub/1"]
    other = LEDGER.model_copy(update={"ledger_id": "b"})
    assert before.accepting("ns/hub/0", other).watermark(other) == 0
    assert "ns/hub/0" not in before.accepting("ns/hub/0", None).partitions


def test_many_connections_without_closing_events_are_quiet() -> None:
    at = manifest(s0=PartitionProgress(progress=NOW), s1=PartitionProgress(progress=NOW))
    closing = frozenset({"closed"})
    many = at.model_copy(update={"began": {NOW // HOUR: FEW}})
    few = at.model_copy(update={"began": {NOW // HOUR: FEW - 1}})
    assert many.quiet(closing)
    assert not few.quiet(closing)
    for newest, quiet in ((NOW - DAY, False), (NOW - DAY - 1, True)):
        assert (
            many.model_copy(update={"names": {"Closed": EventNameCounts(newest=newest)}}).quiet(closing)
            is quiet
        )


def test_names_are_counted() -> None:
    counted = Manifest(names={"a": EventNameCounts(connections=1, newest=5)}).counting(
        {"a": EventNameCounts(connections=2, first=1, newest=3)}, ()
    )
    assert counted == {"a": EventNameCounts(connections=3, first=1, newest=5)}


def test_junk_names_do_not_displace_known_or_frequent_names() -> None:
    junk = {f"{n:03}": EventNameCounts(connections=1, newest=n) for n in range(2 * NAMES)}
    full = Manifest().counting(junk, {"closed"})
    assert sorted(full) == [f"{n:03}" for n in range(NAMES, 2 * NAMES)]
    later = Manifest(names=full).counting(
        {"Closed": EventNameCounts(newest=1), "Ended": EventNameCounts(connections=2)}, {"closed"}
    )
    assert len(later) == NAMES
    assert {"Closed", "Ended"} <= later.keys()
    assert not Manifest(names=later, began={0: FEW}).quiet(frozenset({"closed"}))


def test_files_without_blocks_are_recorded_as_lost() -> None:
    one, two = (
        PendingFile(name=name, block_ids=("b",), content_type="", metadata={}, staged_at=0)
        for name in ("one", "two")
    )
    after = Manifest(files=(one, two)).with_lost([one], "c", 5)
    assert (after.files, after.lost, after.ordinal, after.committed_at) == ((two,), ("one",), 1, 5)


def test_totals_add_up() -> None:
    assert Totals(observations=1, capped=2).plus(Totals(observations=3)) == Totals(observations=4, capped=2)
