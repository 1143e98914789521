"""A stored ledger rejects damaged content, keeps unknown fields, and counts correctly."""

import pytest

from shared.errors import LedgerError, LedgerTooLarge, LedgerTooNew
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.protocol.documents import MAX_BYTES
from shared.protocol.incarnation import Incarnation
from shared.protocol.ledger import Counts, Index, Ledger, Lost, PendingFile, Segment

PARTITION = HubPartition("ns", "hub", "0")
LEDGER = Ledger(ledger_id="l", partition=str(PARTITION))


def envelope(sequence: int, time: int = 1) -> Envelope:
    return Envelope(sequence, time, b"")


def test_a_ledger_survives_being_stored() -> None:
    full = LEDGER.model_copy(
        update={
            "incarnation": Incarnation(number=2, began=5, next=9, newest=7, gaps=((1, 2),)),
            "past": (Incarnation(next=3),),
            "counts": Counts(records=3, rows=1, skipped=1, rejected={"wrong_type": 1}),
        }
    )
    assert Ledger.parse(full.dump(), "name") == full


def test_a_merged_segment_is_listed_until_others_have_seen_it() -> None:
    full = LEDGER.model_copy(
        update={
            "indexes": tuple(Index(name="i", last=last, observations=1) for last in (2, 4)),
            "segments": tuple(
                Segment(name="s", ordinal=n, observations=1, newest=n, committed_at=n) for n in (5, 6, 7)
            ),
        }
    )

    def kept(watermark: int, before: int) -> tuple[list[int], list[int], int]:
        trimmed = full.without_merged(watermark, before)
        segments = [one.ordinal for one in trimmed.segments]
        return [one.last for one in trimmed.indexes], segments, trimmed.trimmed

    assert kept(1, 9) == ([2, 4], [5, 6, 7], 0)
    assert kept(3, 9) == ([4], [5, 6, 7], 2)
    assert kept(6, 6) == ([], [6, 7], 5)
    assert kept(7, 9) == ([], [], 7)


def test_other_content_is_an_error_that_names_the_blob() -> None:
    for data in (b"", b"{}", b"[]", b"\xff"):
        with pytest.raises(LedgerError, match="ledgers/x"):
            Ledger.parse(data, "ledgers/x")


def test_a_newer_format_is_refused() -> None:
    with pytest.raises(LedgerTooNew, match="format 2"):
        Ledger.parse(LEDGER.model_copy(update={"format": 2}).dump(), "ledgers/x")


def test_unknown_keys_survive_at_every_level() -> None:
    data = LEDGER.dump().replace(b'"number":0', b'"number":0,"later":{"a":1}')
    assert b'"later":{"a":1}' in Ledger.parse(data, "x").written("id", 1).dump()


def test_a_ledger_that_is_too_large_is_explained() -> None:
    lost = (Lost(folder="f" * 1000, incarnation=0, sequences=()),) * (MAX_BYTES // 1000)
    large = LEDGER.model_copy(update={"lost": lost})
    with pytest.raises(LedgerTooLarge, match=f"{len(lost)} lost"):
        large.dump()


def test_every_write_has_the_next_ordinal_and_another_commit_id() -> None:
    first = LEDGER.written("a", 1)
    second = first.confirmed("b", 2)
    assert [(one.ordinal, one.commit_id, one.committed_at) for one in (first, second)] == [
        (1, "a", 1),
        (2, "b", 2),
    ]


def test_counts_add_up_reason_by_reason() -> None:
    total = Counts(rows=1, tables={"x": 1}, rejected={"a": 1}).plus(
        Counts(rows=2, tables={"x": 1, "y": 1}, rejected={"a": 2, "b": 3}, files=4)
    )
    assert total == Counts(rows=3, tables={"x": 2, "y": 1}, rejected={"a": 3, "b": 3}, files=4)


def test_progress_records_gaps_and_fills_them_later() -> None:
    begun = Incarnation().take([envelope(2, 10), envelope(5, 30), envelope(6, 20)])
    assert (begun.next, begun.newest, begun.began) == (7, 30, 10)
    assert begun.gaps == ((0, 1), (3, 4))
    assert begun.take([envelope(3)]).gaps == ((0, 1), (4, 4))
    assert begun.has(envelope(2))
    assert not begun.has(envelope(4))
    assert not begun.has(envelope(7))


def test_a_recreated_hub_starts_over_and_keeps_the_old_progress() -> None:
    now = LEDGER
    for number in range(12):
        now = now.with_new_incarnation(number)
    assert now.incarnation.number == 12
    assert now.incarnation.next is None
    assert [one.number for one in now.past] == list(range(4, 12))


def test_the_name_of_a_ledger_follows_from_its_partition() -> None:
    assert Ledger.name(PARTITION) == "ledgers/ns/hub/0.json"


def file(number: int, sequences: str, **metadata: str) -> PendingFile:
    return PendingFile(
        name=f"f/{sequences}",
        block_ids=(),
        content_type="",
        staged_at=0,
        metadata={"incarnation": str(number), "sequences": sequences, **metadata},
    )


def test_lost_files_are_recorded_under_their_hub() -> None:
    earlier, later = Incarnation(number=1, earlier=((3, 5),)), Incarnation(number=2, earlier=((8, 9),))
    ledger = LEDGER.model_copy(update={"past": (Incarnation(), earlier), "incarnation": later})
    lost = ledger.with_lost([file(0, "0-9"), file(1, "6-9"), file(0, "3-4", verdict="stale")], "id", 7)
    assert [(one.incarnation, one.sequences) for one in lost.lost] == [
        (0, ((0, 2), (6, 9))),
        (1, ((3, 5),)),
        (1, ((6, 7),)),
        (2, ((8, 9),)),
        (0, ((3, 4),)),
    ]
    assert lost.counts.lost == 3
    assert lost.with_lost([file(2, "1-1")], "id", 8).counts.lost == 4
