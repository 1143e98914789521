import time
from contextlib import ExitStack, closing
from typing import Any

import pytest
from azure.eventhub import EventData

from local.emulators.event_hubs.process import BrokerProcess

from .clients import SILENCE, Reader, bodies, producer, read, send


def test_a_reader_starts_at_the_requested_position(broker: BrokerProcess) -> None:
    with producer(broker) as client:
        for number in range(6):
            client.send_batch([EventData(str(number))])
            time.sleep(0.005)
    events = read(broker, 6)
    assert bodies(events) == [b"0", b"1", b"2", b"3", b"4", b"5"]
    for position in (events[2].offset, events[2].sequence_number, events[2].enqueued_time):
        assert bodies(read(broker, 3, position=position)) == [b"3", b"4", b"5"]
        assert bodies(read(broker, 4, position=position, inclusive=True)) == [b"2", b"3", b"4", b"5"]
    assert bodies(read(broker, 1, position="@latest", inclusive=True)) == [b"5"]


def test_from_the_end_only_new_events_are_sent(broker: BrokerProcess) -> None:
    send(broker, ["old"])
    (old,) = read(broker, 1)
    positions: tuple[Any, ...] = ("@latest", old.offset)
    with ExitStack() as stack:
        readers = [stack.enter_context(closing(Reader(broker, position=position))) for position in positions]
        for reader in readers:
            reader.attach()
            with pytest.raises(TimeoutError):
                reader.read(1, SILENCE)
        send(broker, ["new"])
        assert [bodies(reader.read(1)) for reader in readers] == [[b"new"]] * 2
