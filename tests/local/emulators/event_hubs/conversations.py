"""Replays recorded conversations: sends the client's frames, and collects the broker's answers."""

import socket
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self
from zipfile import ZipFile

from local.emulators.event_hubs.amqp_types import Described, decode
from local.emulators.event_hubs.frames import Code, Frame, FrameBuffer
from local.emulators.event_hubs.hubs import open_hub
from local.emulators.event_hubs.log import PartitionLog
from local.emulators.event_hubs.messages import (
    APPLICATION_PROPERTIES,
    DELIVERY_ANNOTATIONS,
    MESSAGE_ANNOTATIONS,
    PROPERTIES,
    parse_event,
    sections,
)

FOLDER = Path(__file__).parents[3] / "fixtures" / "dotnet"
KEY = "secretkey123="
HUBS = {"one": 2, "other": 2}
PATIENCE = 60.0

type Answer = tuple[object, ...]


def recorded(name: str) -> bytes:
    with ZipFile(FOLDER / "conversations.zip") as archive:
        return archive.read(f"{name}.bin")


def parsed(data: bytes) -> Iterator[Frame]:
    for item in FrameBuffer().feed(data):
        if isinstance(item, Frame):
            yield item


def pieces(data: bytes) -> Iterator[tuple[bytes, Frame | None]]:
    """Yield each header and frame as it was sent, with the parsed frame."""
    while data:
        size = 8 if data.startswith(b"AMQP") else int.from_bytes(data[:4], "big")
        piece, data = data[:size], data[size:]
        yield piece, next(parsed(piece), None)


def answer_of(frame: Frame) -> Answer | None:
    """Return the parts that are the same in each run; None for a frame that depends on timing."""
    match frame.code:
        case Code.FLOW:
            return None
        case Code.OPEN:
            return (frame.code,)
        case Code.TRANSFER:
            return (frame.code, *frame.fields[:2], *_content(frame.payload))
    return (frame.code, *frame.fields)


def _content(message: bytes) -> list[object]:
    """Return an event without the annotations of its delivery, or the request and success of an answer."""
    values = {
        section.code: decode(message, section.value)[0]
        for section in sections(message)
        if section.code != DELIVERY_ANNOTATIONS
    }
    if APPLICATION_PROPERTIES in values and MESSAGE_ANNOTATIONS not in values:
        properties, application = values[PROPERTIES], values[APPLICATION_PROPERTIES]
        assert isinstance(properties, list)
        assert isinstance(application, dict)
        return [properties[5], application["status-code"] // 100]
    return [values]


def fill(data: Path) -> None:
    """Put the events of the recorded readers into the hubs, with the same times and offsets."""
    sources = {
        ("one", 0): ("epoch/02", 1),
        ("other", 0): ("consumer/01", 2),
        ("other", 1): ("consumer/01", 3),
    }
    for hub, count in HUBS.items():
        for partition in open_hub(data, hub, count).partitions:
            partition.close()
    now = 0
    for (hub, index), (name, channel) in sources.items():
        log = PartitionLog(data / hub / f"{index}.log", clock=lambda: now / 1000)  # noqa: B023 - the latest
        for frame in parsed(recorded(f"{name}-broker")):
            if frame.code == Code.TRANSFER and frame.channel == channel:
                found = {section.code: section for section in sections(frame.payload)}
                annotations = decode(frame.payload, found[MESSAGE_ANNOTATIONS].value)[0]
                assert isinstance(annotations, dict)
                now = annotations["x-opt-enqueued-time"]
                log.append([parse_event(frame.payload)])
                assert log.status().last_offset == annotations["x-opt-offset"]
        log.close()


class Conversation:
    """One connection, replayed against a broker.

    `answers` and `expected` hold the broker's frames of each channel. A frame is sent as soon as possible,
    except that everything recorded before a close must have arrived before the close is sent.
    """

    def __init__(self, port: int, name: str) -> None:
        self.answers: dict[int, list[Answer]] = defaultdict(list)
        self.expected: dict[int, list[Answer]] = defaultdict(list)
        for frame in _without_latest(list(parsed(recorded(f"{name}-broker")))):
            if answer := answer_of(frame):
                self.expected[frame.channel].append(answer)
        self._pieces = pieces(recorded(f"{name}-client"))
        self._held: bytes | None = None
        self._buffer = FrameBuffer()
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)

    def open(self) -> None:
        """Replay everything up to the first close of a reader or sender."""
        for piece, frame in self._pieces:
            if frame is not None and frame.code == Code.DETACH and frame.channel:
                self._held = piece
                break
            self._send(piece, frame)
        if self._held is not None:
            self._wait_until(next(parsed(self._held)), inclusive=False)

    def finish(self) -> None:
        """Replay the rest, up to the end of the connection."""
        if self._held is not None:
            self._send(self._held, next(parsed(self._held)))
        for piece, frame in self._pieces:
            self._send(piece, frame)
        self._receive(lambda: False)

    def _send(self, piece: bytes, frame: Frame | None) -> None:
        if frame is not None and frame.code == Code.DETACH:
            self._wait_until(frame, inclusive=True)
        self._socket.sendall(piece)

    def _wait_until(self, detach: Frame, *, inclusive: bool) -> None:
        """Receive everything that was recorded before the answer to this close.

        With `inclusive`, and if the broker closed the link, this includes its close.
        """
        expected, answers = self.expected[detach.channel], self.answers[detach.channel]
        begun = max((n for n, answer in enumerate(answers) if answer[0] == Code.END), default=-1) + 1
        at = next(
            n for n in range(begun, len(expected)) if expected[n][:2] == (Code.DETACH, detach.fields[0])
        )
        refused = expected[at][3] is not None
        self._receive(lambda: len(answers) >= at + (inclusive and refused))

    def _receive(self, enough: Callable[[], bool]) -> None:
        while not enough():
            data = self._socket.recv(1 << 20)
            if not data:
                return
            for item in self._buffer.feed(data):
                if isinstance(item, Frame) and (answer := answer_of(item)):
                    self.answers[item.channel].append(answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def _without_latest(broker: Sequence[Frame]) -> Iterator[Frame]:
    """Leave out the events of a reader from the end: here, they exist before it starts."""
    latest: set[int] = set()
    for frame in broker:
        if frame.code == Code.ATTACH:
            source = frame.fields[5]
            (latest.add if isinstance(source, Described) and "@latest" in str(source) else latest.discard)(
                frame.channel
            )
        if not (frame.code == Code.TRANSFER and frame.channel in latest):
            yield frame
