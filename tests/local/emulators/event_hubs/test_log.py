from collections.abc import Iterator
from pathlib import Path

import pytest

from local.emulators.event_hubs.amqp_types import Described, ULong, encode
from local.emulators.event_hubs.errors import AmqpError
from local.emulators.event_hubs.log import PartitionLog
from local.emulators.event_hubs.messages import DATA, Event, parse_event, sections
from local.emulators.event_hubs.positions import START, Field, Position

OFFSET, NUMBER, TIME, END = Field.OFFSET, Field.SEQUENCE_NUMBER, Field.ENQUEUED_TIME, Field.END


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def event(body: bytes) -> Event:
    return parse_event(encode(Described(ULong(DATA), body)))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log(tmp_path: Path, clock: Clock) -> Iterator[PartitionLog]:
    found = PartitionLog(tmp_path / "0.log", clock=clock)
    yield found
    found.close()


def reopened(path: Path) -> PartitionLog:
    return PartitionLog(path / "0.log")


def stored(log: PartitionLog, start: int = 0) -> list[bytes]:
    """Read the bodies from a sequence number on in small slices."""
    found: list[bytes] = []
    while True:
        first, slice_ = log.read(start, 2, 1000)
        if not slice_:
            return found
        start = first + len(slice_)
        for view in slice_:
            message = bytes(view)
            body = next(section for section in sections(message) if section.code == DATA)
            found.append(message[body.value + 2 : body.end])


def test_events_survive_a_restart(log: PartitionLog, tmp_path: Path) -> None:
    sent = [bytes([number]) * number for number in range(10)]
    log.append([event(body) for body in sent[:4]])
    for body in sent[4:]:
        log.append([event(body)])
    other = reopened(tmp_path)
    assert stored(log) == stored(other) == sent
    assert stored(other, 7) == sent[7:]
    assert other.status() == log.status()
    other.append([event(b"next")])
    assert other.status().last_sequence_number == 10
    other.close()


def test_an_incomplete_write_is_cut_off(log: PartitionLog, tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    log.append([event(b"whole")])
    whole = path.stat().st_size
    log.append([event(b"torn")])
    data = path.read_bytes()
    for size in range(whole, len(data)):
        path.write_bytes(data[:size])
        other = reopened(tmp_path)
        assert stored(other) == [b"whole"]
        assert path.stat().st_size == whole
        other.append([event(b"new")])
        other.close()
        again = reopened(tmp_path)
        assert stored(again) == [b"whole", b"new"]
        again.close()


def test_a_changed_record_is_cut_off(log: PartitionLog, tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    log.append([event(b"whole")])
    whole = path.stat().st_size
    log.append([event(b"broken")])
    data = path.read_bytes()
    for position in range(whole, len(data)):
        path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        other = reopened(tmp_path)
        assert stored(other) == [b"whole"]
        other.close()


def test_times_never_go_back_even_after_a_restart(log: PartitionLog, clock: Clock, tmp_path: Path) -> None:
    log.append([event(b"1")])
    clock.seconds -= 60
    log.append([event(b"2")])
    assert log.status().last_enqueued_ms == 1_000_000
    other = PartitionLog(tmp_path / "0.log", clock=clock)
    other.append([event(b"3")])
    assert other.status().last_enqueued_ms == 1_000_000
    other.close()


def test_retention_hides_older_events(tmp_path: Path, clock: Clock) -> None:
    log = PartitionLog(tmp_path / "0.log", retention_ms=10_000, clock=clock)
    for number in range(4):
        log.append([event(str(number).encode())])
        clock.seconds += 4
    assert (log.begin(), stored(log)) == (2, [b"2", b"3"])
    assert log.status().begin_sequence_number == 2
    assert not log.status().is_empty
    clock.seconds -= 8
    assert log.begin() == 2, "what was hidden stays hidden"
    clock.seconds += 60
    status = log.status()
    assert (status.begin_sequence_number, status.last_sequence_number, status.is_empty) == (4, 3, True)
    log.append([event(b"new")])
    assert stored(log) == [b"new"]
    log.close()


def test_every_position_finds_its_event(log: PartitionLog, clock: Clock) -> None:
    offsets = []
    for _ in range(5):
        log.append([event(b"x")])
        offsets.append(int(log.status().last_offset))
        clock.seconds += 1
    expected = [
        (START, 0),
        (Position(END, 0, inclusive=False), 5),
        (Position(END, 0, inclusive=True), 4),
        (Position(OFFSET, offsets[2], inclusive=False), 3),
        (Position(OFFSET, offsets[2], inclusive=True), 2),
        (Position(OFFSET, offsets[2] + 1, inclusive=True), 3),
        (Position(OFFSET, offsets[4], inclusive=False), 5),
        (Position(NUMBER, 2, inclusive=False), 3),
        (Position(NUMBER, 2, inclusive=True), 2),
        (Position(NUMBER, -1, inclusive=False), 0),
        (Position(NUMBER, -1, inclusive=True), 0),
        (Position(NUMBER, 4, inclusive=False), 5),
        (Position(NUMBER, 5, inclusive=True), 5),
        (Position(TIME, 1_002_000, inclusive=False), 3),
        (Position(TIME, 1_002_000, inclusive=True), 2),
        (Position(TIME, 1_001_500, inclusive=True), 2),
        (Position(TIME, 0, inclusive=False), 0),
        (Position(TIME, 9_999_999, inclusive=False), 5),
    ]
    assert [(position, log.locate(position)) for position, _ in expected] == expected


@pytest.mark.parametrize(
    "position", [Position(OFFSET, 5, inclusive=False), Position(NUMBER, 1, inclusive=False)]
)
def test_a_position_of_another_log_is_refused(log: PartitionLog, position: Position) -> None:
    for _ in range(2):
        with pytest.raises(AmqpError, match="argument-error"):
            log.locate(position)
        if position.field is NUMBER:
            break
        log.append([event(b"x")])


def test_an_append_notifies_readers_at_the_end(log: PartitionLog) -> None:
    calls: list[int] = []

    def wake() -> None:
        calls.append(1)

    log.on_append.add(wake)
    assert log.read(0, 10, 1000) == (0, [])
    log.append([event(b"x")])
    log.append([])
    log.on_append.discard(wake)
    log.append([event(b"x")])
    assert len(calls) == 2
    assert log.read(5, 10, 1000) == (5, [])
