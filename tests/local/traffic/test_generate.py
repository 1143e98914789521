import gzip
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.traffic import records
from local.traffic.generate import Traffic, generate
from local.traffic.mix import Mix
from local.traffic.truth import OTHER_ROWS, ROW, WHOLE_ENVELOPE, Truth
from tests.local.traffic.reading import EPOCH, read

NOW = datetime(2030, 1, 2, 3, tzinfo=UTC)
ENQUEUED = (NOW - EPOCH) // timedelta(microseconds=1)


def traffic(seed: int = 1, count: int = 400, *, bad: float = 0.01, foreign: float = 0.2) -> Traffic:
    return generate(seed, count, NOW - timedelta(hours=6), NOW, bad=bad, foreign=foreign)


def told(truth: Truth) -> list[tuple[object, ...]]:
    columns = ("partition", "position", "record_index", "resource_id", "correlation_id", "event_name", "time")
    return [tuple(row.values()) for row in truth.good().select(columns).to_pylist()]


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 300),
    bad=st.sampled_from([0, 0.01, 0.3]),
    foreign=st.sampled_from([0, 0.2, 2]),
)
def test_an_independent_parser_of_the_bodies_finds_the_truth(
    seed: int, count: int, bad: float, foreign: float
) -> None:
    made = traffic(seed, count, bad=bad, foreign=foreign)
    rows: list[tuple[object, ...]] = []
    rejections: list[tuple[object, ...]] = []
    skipped = 0
    positions: Counter[str] = Counter()
    for partition, body in made.sends:
        found = read(body, ENQUEUED)
        place = (partition, positions[partition])
        positions[partition] += 1
        rows += [(*place, *row) for row in found.rows]
        rejections += [
            (*place, WHOLE_ENVELOPE if index is None else index, reason) for index, reason in found.rejections
        ]
        skipped += found.skipped
    assert rows == told(made.truth)
    columns = ("partition", "position", "record_index", "outcome")
    wanted = [tuple(row[name] for name in columns) for row in made.truth.records.to_pylist()]
    assert rejections == [row for row in wanted if row[3] not in {ROW, "skipped"}]
    assert skipped == made.truth.skipped
    assert len(rows) + len(rejections) + skipped == made.truth.records.num_rows


@pytest.mark.parametrize(
    ("category", "table"),
    [("GatewayLogs", "ApiManagementGatewayLogs"), ("GatewayLlmLogs", "ApiManagementGatewayLlmLog")],
)
@pytest.mark.parametrize("alone", [True, False])
def test_an_independent_parser_finds_the_rows_of_other_categories(
    category: str, table: str, *, alone: bool
) -> None:
    exported = {category} if alone else {"WebSocketConnectionLogs", "GatewayLogs", "GatewayLlmLogs"}
    made = generate(3, 400, NOW - timedelta(hours=6), NOW, foreign=0.4, exported=exported)
    names = frozenset({category.lower(), table.lower()})
    rows: list[tuple[object, ...]] = []
    positions: Counter[str] = Counter()
    for partition, body in made.sends:
        found = read(body, ENQUEUED, names).rows
        rows += [
            (partition, positions[partition], index, resource, id_, time)
            for index, resource, id_, _, time in found
        ]
        positions[partition] += 1
    columns = ("partition", "position", "record_index", "resource_id", "correlation_id", "time")
    good = made.truth.good(OTHER_ROWS[category])
    assert rows == [tuple(row.values()) for row in good.select(columns).to_pylist()]
    assert len(rows) > 20
    assert made.truth.skipped == made.truth.outcomes["skipped"] > 5
    assert (made.truth.outcomes.keys() >= {*OTHER_ROWS.values()}) is not alone
    assert good["event_name"].null_count == good["connection"].null_count == len(rows)
    assert not {*made.truth.rejected} & {*OTHER_ROWS.values()}


def test_nearly_every_connection_has_one_request() -> None:
    made = generate(3, 400, NOW - timedelta(hours=6), NOW, foreign=0.4, exported=("GatewayLogs",)).truth
    ids = {(row["resource_id"], row["correlation_id"]) for row in made.connections().to_pylist()}
    requests = Counter(
        (row["resource_id"], row["correlation_id"])
        for row in made.good(OTHER_ROWS["GatewayLogs"]).to_pylist()
    )
    matched = ids & requests.keys()
    assert 0.9 * len(ids) < len(matched) <= len(ids)
    assert max(requests[one] for one in matched) <= 2
    assert len(requests.keys() - ids) > 0.3 * len(ids)


def test_the_seed_determines_the_bytes() -> None:
    first, again, other = list(traffic(7).sends), list(traffic(7).sends), list(traffic(8).sends)
    assert first == again
    assert first != other


def test_a_send_is_the_same_by_index_and_in_iteration() -> None:
    sends = traffic(count=50).sends
    assert [sends[place] for place in range(len(sends))] == list(sends) == sends[:]
    assert sends[-1] == list(sends)[-1]
    with pytest.raises(IndexError):
        sends[len(sends)]


@pytest.mark.parametrize("seed", range(5))
def test_every_form_and_every_reason_occurs_in_a_thousand_envelopes(seed: int) -> None:
    made = traffic(seed, 1200)
    sends, mix = made.sends, Mix()
    assert 900 < len(sends) < 1300
    used = sends.envelopes
    whole = (used.broken < 0) & (used.size > 0)
    assert set(used.container[whole].tolist()) == set(range(len(mix.containers)))
    assert set(used.encoding[whole].tolist()) == set(range(len(mix.encodings)))
    assert set(used.broken.tolist()) == set(range(-1, 6))
    assert (used.size == 0).any()
    good = sends.elements.outcome == 0
    assert set(sends.elements.variant[good].tolist()) == set(range(len(mix.forms)))
    assert set(sends.time_form.tolist()) == set(range(len(mix.times)))
    assert set(made.truth.rejected) == {"unreadable_envelope", *(reason for reason, _ in records.BAD)}
    bodies = [body for _, body in sends]
    for prefix in (b"\x1f\x8b", b"\xef\xbb\xbf", b" \r\n", b"[{", b'{"records":[]}'):
        assert any(body.startswith(prefix) for body in bodies), prefix
    assert any(b"EventProcessedUtcTime" in body for body in bodies)
    assert b"" in bodies


def test_envelopes_with_only_some_and_no_foreign_records_occur() -> None:
    kinds: Counter[tuple[bool, bool]] = Counter()
    for _, body in traffic(bad=0).sends:
        found = read(body, ENQUEUED)
        kinds[bool(found.rows), bool(found.skipped)] += 1
    assert min(kinds[True, False], kinds[False, True], kinds[True, True]) > 10


def test_connections_are_of_every_kind() -> None:
    made = traffic(count=2000).truth.connections()
    rows = made.to_pylist()
    assert len(rows) == 2000
    seen = Counter((row["opening_seen"], row["closing_seen"], row["failed_seen"]) for row in rows)
    assert {
        (True, True, False),
        (True, False, True),
        (True, False, False),
        (False, True, False),
    } <= seen.keys()
    assert any(row["event_count"] == 1 for row in rows)
    assert any(row["event_count"] > 2 and row["duration"] == 0 for row in rows)
    ids = Counter(row["correlation_id"] for row in rows)
    assert max(ids.values()) == 2
    twins = [row["resource_id"] for row in rows if ids[row["correlation_id"]] == 2]
    assert len(set(twins)) == 2
    assert any(one.startswith("../../") for one in ids)
    assert any(not one.isascii() for one in ids)


def test_connections_match_their_records() -> None:
    truth = traffic().truth
    folded: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in truth.good().to_pylist():
        folded.setdefault((row["resource_id"], row["correlation_id"]), []).append(row)
    connections = truth.connections().to_pylist()
    assert len(connections) == len(folded)
    for one in connections:
        rows = folded[one["resource_id"], one["correlation_id"]]
        times = [row["time"] for row in rows]
        names = {row["event_name"] for row in rows}
        assert (one["first_time"], one["last_time"], one["event_count"]) == (
            min(times),
            max(times),
            len(times),
        )
        assert one["duration"] == max(times) - min(times)
        assert one["opening_seen"] == ("ConnectionOpened" in names)
        assert one["closing_seen"] == ("ConnectionClosed" in names)
        assert one["failed_seen"] == ("ConnectionFailed" in names)
        assert one["error_seen"] == any(row["error"] for row in rows)


def test_records_of_a_connection_are_spread_and_out_of_order() -> None:
    good = traffic(count=1000).truth.good().select(["connection", "partition", "time"]).to_pylist()
    partitions: dict[int, set[str]] = {}
    latest: dict[int, int] = {}
    backwards = 0
    for row in good:
        partitions.setdefault(row["connection"], set()).add(row["partition"])
        backwards += row["time"] < latest.get(row["connection"], 0)
        latest[row["connection"]] = row["time"]
    assert sum(len(one) > 1 for one in partitions.values()) > 600
    assert backwards > 500


def test_the_truth_can_be_saved_and_loaded(tmp_path: Path) -> None:
    truth = Truth(traffic(count=50).truth.records, {"0": 17})
    truth.save(tmp_path / "truth.arrow")
    loaded = Truth.load(tmp_path / "truth.arrow")
    assert loaded.first_sequences == {"0": 17}
    assert loaded.records.equals(truth.records)
    assert loaded.connections().equals(truth.connections())


@pytest.mark.parametrize("hours", [(-24 * 7, 0), (-1, 1), (0, 0), (1, -1)])
def test_implausible_times_are_refused(hours: tuple[int, int]) -> None:
    start, end = (NOW + timedelta(hours=one) for one in hours)
    with pytest.raises(ValueError, match="implausible"):
        generate(1, 10, start, end, now=NOW)


def test_errors_in_records_match_the_truth() -> None:
    made = traffic(bad=0, foreign=0)
    plain = (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body for _, body in made.sends)
    text = b"\n".join(plain).decode().replace("\\u00ef", "ï")
    found = text.count("connection reset by peer") + text.count("naïve")
    assert found == sum(made.truth.good()["error"].to_pylist()) > 0
