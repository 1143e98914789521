import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.emulators.functions_host.batches import Batch, Batches
from local.emulators.functions_host.configuration import AppError, HostOptions, environment, resolve, seconds
from local.emulators.functions_host.protocol import Frame, encode, read
from local.emulators.functions_host.retry import RetryPolicy
from local.emulators.functions_host.schedule import parse

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)  # a Friday


def parsed(data: bytes) -> Frame | None:
    async def feed() -> Frame | None:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return await read(reader)

    return asyncio.run(feed())


@settings(deadline=None)
@given(st.dictionaries(st.text().filter(lambda key: key != "sizes"), st.text()), st.lists(st.binary()))
def test_a_written_frame_is_read_back(header: dict[str, str], bodies: list[bytes]) -> None:
    assert parsed(b"".join(encode(Frame(header, bodies)))) == Frame(header, bodies)


def test_an_incomplete_frame_is_the_end() -> None:
    whole = b"".join(encode(Frame({"id": 1}, [b"abc", b""])))
    assert all(parsed(whole[:length]) is None for length in range(len(whole)))


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(0, 5), st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3))))
def test_batches_keep_order_lose_nothing_and_never_exceed_the_maximum(
    minimum: int, extra: int, arrivals: list[tuple[int, int]]
) -> None:
    batches: Batches[int] = Batches(minimum, minimum + extra, wait=2)
    sent, now = 0, 0
    taken: list[int] = []
    for count, pause in arrivals:
        batches.add(range(sent, sent + count), now)
        sent += count
        while batch := batches.take(now):
            assert len(batch.events) <= minimum + extra
            assert batch.partial == (len(batch.events) < minimum)
            taken += batch.events
        assert len(batches) == sent - len(taken) < minimum
        now += pause
    while batch := batches.take(now + 2):
        taken += batch.events
    assert taken == list(range(sent))


def test_a_batch_below_the_minimum_waits_unless_first() -> None:
    batches: Batches[int] = Batches(3, 10, wait=5)
    batches.add([1], 0)
    assert batches.take(0) == Batch([1], partial=True)
    batches.add([2], 10)
    batches.add([3], 12)
    assert batches.take(14.9) is None
    assert batches.take(15) == Batch([2, 3], partial=True)
    batches.add([4, 5, 6], 16)
    assert batches.take(16) == Batch([4, 5, 6], partial=False)


@pytest.mark.parametrize(("age", "wait"), [(None, 0), (2, 3), (5, 0), (99, 0), (0, 5)])
def test_the_first_partial_batch_waits_less_after_older_checkpoints(age: float | None, wait: float) -> None:
    batches: Batches[int] = Batches(3, 10, 5, age)
    batches.add([1], 100)
    if wait:
        assert batches.take(100 + wait - 0.1) is None
    assert batches.take(100 + wait) == Batch([1], partial=True)
    batches.add([2], 200)
    assert batches.take(204.9) is None
    assert batches.take(205) == Batch([2], partial=True)


def test_only_a_full_batch_restarts_a_stopped_timer() -> None:
    batches: Batches[int] = Batches(3, 10, wait=5)
    batches.add([1], 0)
    assert batches.take(0)
    batches.stop_timer()
    batches.add([2, 3], 1)
    assert batches.take(1000) is None
    batches.add([4], 1001)
    assert batches.take(1001) == Batch([2, 3, 4], partial=False)
    batches.add([5], 1002)
    assert batches.take(1006.9) is None
    assert batches.take(1007) == Batch([5], partial=True)
    always: Batches[int] = Batches(1, 10, wait=5)
    always.stop_timer()
    always.add([1], 0)
    assert always.take(0) == Batch([1], partial=False)


@pytest.mark.parametrize(
    ("schedule", "moments"),
    [
        ("*/20 * * * * *", ["12:00:20", "12:00:40", "12:01:00"]),
        ("0 */5 * * * *", ["12:05:00", "12:10:00"]),
        ("0 0 9-17/4 * * *", ["13:00:00", "17:00:00", "1 09:00:00"]),
        ("30 0,15 12 * * *", ["12:00:30", "12:15:30", "1 12:00:30"]),
        ("0 0 0 * * 0,1", ["2 00:00:00", "3 00:00:00", "9 00:00:00"]),
        ("0 0 0 1 12 *", ["11 00:00:00", "376 00:00:00"]),
        ("00:00:30", ["12:00:30", "12:01:00"]),
    ],
)
def test_a_schedule_fires_at_the_expected_times(schedule: str, moments: list[str]) -> None:
    at = NOON
    for moment in moments:
        days, _, time = moment.rpartition(" ")
        at = parse(schedule).after(at)
        assert at.isoformat() == (NOON + timedelta(days=int(days or 0))).date().isoformat() + f"T{time}+00:00"


@pytest.mark.parametrize(
    "schedule", ["", "* * * * *", "60 * * * * *", "*/0 * * * * *", "x * * * * *", "24:00:00"]
)
def test_an_invalid_schedule_is_refused(schedule: str) -> None:
    with pytest.raises(AppError):
        parse(schedule)


def test_retries_are_counted_and_delays_double_up_to_the_maximum() -> None:
    policy = RetryPolicy(count=-1, minimum=2, maximum=20)
    assert [policy.delay(retry, 1) for retry in (1, 2, 3, 4, 5, 10**6)] == [2, 4, 6, 10, 18, 20]
    assert {round(policy.delay(2), 3) for _ in range(50)} != {4}
    fixed = RetryPolicy(count=-1, minimum=3, maximum=3)
    assert [fixed.delay(retry) for retry in (1, 2, 9)] == [3, 3, 3]
    assert policy.allows(10**6)
    assert [RetryPolicy(count=2).allows(retry) for retry in (1, 2, 3)] == [True, True, False]
    assert not RetryPolicy.of(None).allows(1)


def test_host_json_has_the_documented_defaults(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    assert HostOptions.load(tmp_path) == HostOptions()
    override = {"AzureFunctionsJobHost__extensions__eventHubs__maxWaitTime": "00:00:02"}
    assert HostOptions.load(tmp_path, override) == HostOptions(max_wait_time=2)
    (tmp_path / "host.json").write_text(
        '{"functionTimeout": "-1", "extensions": {"eventHubs": {"maxEventBatchSize": 7, '
        '"maxWaitTime": "00:01:30", "initialOffsetOptions": {"type": "fromEnd"}, "somethingElse": 1}}}'
    )
    assert HostOptions.load(tmp_path) == HostOptions(
        max_event_batch_size=7, max_wait_time=90, initial_offset="fromEnd", function_timeout=None
    )


@pytest.mark.parametrize(
    "hubs",
    [
        '{"minEventBatchSize": 200}',
        '{"batchCheckpointFrequency": 5}',
        '{"initialOffsetOptions": {"type": "fromEnqueuedTime"}}',
        '{"maxWaitTime": "soon"}',
    ],
)
def test_unsupported_options_of_host_json_are_refused(tmp_path: Path, hubs: str) -> None:
    (tmp_path / "host.json").write_text(f'{{"extensions": {{"eventHubs": {hubs}}}}}')
    with pytest.raises(AppError):
        HostOptions.load(tmp_path)


def test_the_environment_overrides_local_settings(tmp_path: Path) -> None:
    path = tmp_path / "local.settings.json"
    path.write_text('{"IsEncrypted": false, "Values": {"A": "file", "B": "file", "N": 5}}')
    assert environment({"A": "environment"}, path) == {"A": "environment", "B": "file", "N": "5"}


def test_settings_resolve_by_name() -> None:
    assert resolve("%A%-%B%", {"A": "1", "B": "2"}) == "1-2"
    assert resolve("100%", {}) == "100%"
    with pytest.raises(AppError, match="no setting C"):
        resolve("%C%", {})


def test_time_spans_are_parsed() -> None:
    assert seconds("01:02:03") == 3723
    with pytest.raises(AppError, match="24 hours"):
        seconds("24:00:00")
