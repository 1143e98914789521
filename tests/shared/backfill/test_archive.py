"""Blobs of an archive are recognized by name, and their lines become envelopes."""

from datetime import UTC, datetime
from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.backfill.archive import LINES, ArchiveHour, envelopes, hour_of
from shared.errors import BackfillError
from shared.input.hub_partition import HubPartition
from shared.protocol.archive import ArchiveBlob
from shared.timeunits import HOUR, SECOND

PATH = "resourceId=/SUBSCRIPTIONS/A/RESOURCEGROUPS/B/PROVIDERS/MICROSOFT.APIMANAGEMENT/SERVICE/My_Api"
BLOB = ArchiveBlob(f"{PATH}/y=2026/m=02/d=28/h=23/m=00/PT1H.json", 7)


def test_a_path_names_the_service_and_the_hour() -> None:
    hour = hour_of(BLOB)
    assert hour
    assert hour.began == round(datetime(2026, 2, 28, 23, tzinfo=UTC).timestamp()) * SECOND
    assert hour.ended - hour.began == HOUR
    assert (hour.name, hour.size, hour.key) == (BLOB.name, 7, "28/2300")
    assert hour.partition == HubPartition("archive", hour.service, "2026-02")
    assert hour.service.startswith("my-api-")
    assert hour_of(ArchiveBlob(BLOB.name.lower(), 7)) == ArchiveHour(
        hour.began, hour.service, BLOB.name.lower(), 7
    )


def test_services_with_the_same_name_are_distinguished() -> None:
    other = hour_of(ArchiveBlob(BLOB.name.replace("/A/", "/B/"), 7))
    hour = hour_of(BLOB)
    assert hour
    assert other
    assert other.service != hour.service


@pytest.mark.parametrize(
    "name",
    [
        "PT1H.json",
        f"{PATH}/y=2026/m=02/d=28/h=23/m=00/PT1H.json.gz",
        f"{PATH}/y=2026/m=02/d=30/h=23/m=00/PT1H.json",
        f"{PATH}/y=2026/m=02/d=28/h=24/m=00/PT1H.json",
        "y=2026/m=02/d=28/h=23/m=00/PT1H.json",
    ],
)
def test_other_paths_are_no_hour_of_an_archive(name: str) -> None:
    assert hour_of(ArchiveBlob(name, 7)) is None


@given(
    st.lists(st.sampled_from([b'{"a":1}', b"{no JSON", b"", b" ", b'{"records":[{},{}]}']), max_size=900)
    | st.lists(st.just(b'{"a":1}'), max_size=900),
    st.integers(1, 5000),
)
def test_equal_lines_give_equal_messages_for_any_chunks(lines: list[bytes], size: int) -> None:
    hour = hour_of(BLOB)
    assert hour
    text = b"\n".join(lines)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    found = list(envelopes(hour, pieces))
    assert found == list(envelopes(hour, [text]))
    assert [one.sequence - hour.first_sequence for one in found] == list(range(len(found)))
    assert {one.enqueued for one in found} <= {hour.ended}
    kept = [line for line in lines if line.strip()]
    assert len(found) == -(-len(kept) // LINES)
    for number, one in enumerate(found):
        mine = kept[number * LINES : (number + 1) * LINES]
        if len(mine) > 1 and set(mine) == {b'{"a":1}'}:
            assert orjson.loads(one.body)["records"] == [orjson.loads(line) for line in mine]
        else:
            assert one.body.split(b"\n") == mine


def test_hours_of_a_month_share_no_sequence_numbers() -> None:
    firsts = []
    for day in (1, 2, 28):
        for clock in range(24):
            hour = hour_of(ArchiveBlob(f"{PATH}/y=2026/m=02/d={day:02}/h={clock:02}/m=00/PT1H.json", 7))
            assert hour
            firsts.append(hour.first_sequence)
    assert all(b - a >= 60_000_000 for a, b in pairwise(firsts))
    assert firsts[0] == 0


def test_an_endless_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.backfill.archive.LONGEST", 1000)
    hour = hour_of(BLOB)
    assert hour
    with pytest.raises(BackfillError, match="has a line of more than"):
        list(envelopes(hour, [b"x" * 600] * 9))
