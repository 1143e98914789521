from contextlib import ExitStack, closing

import pytest
from azure.eventhub.exceptions import ConnectionLostError

from local.emulators.event_hubs.process import BrokerProcess

from .clients import Reader, bodies, send


def test_an_equal_or_higher_level_takes_the_partition_over(broker: BrokerProcess) -> None:
    send(broker, ["0"])
    with ExitStack() as stack:

        def open_reader(group: str = "$Default", owner_level: int | None = None) -> Reader:
            return stack.enter_context(closing(Reader(broker, group, owner_level=owner_level)))

        other_group = open_reader("exporter", 0)
        other_group.read(1)
        before = open_reader()
        before.read(1)
        for owner_level in (0, 0, 7):
            after = open_reader(owner_level=owner_level)
            after.read(1)
            with pytest.raises(ConnectionLostError, match="amqp:link:stolen"):
                before.read(2)
            before = after
        send(broker, ["1"])
        assert bodies(after.read(2)) == [b"0", b"1"]
        assert bodies(other_group.read(2)) == [b"0", b"1"]


def test_a_lower_owner_level_is_refused_while_one_is_held(broker: BrokerProcess) -> None:
    send(broker, ["0"])
    with closing(Reader(broker, owner_level=5)) as owner:
        owner.read(1)
        for owner_level in (4, None):
            with (
                closing(Reader(broker, owner_level=owner_level)) as refused,
                pytest.raises(ConnectionLostError, match="amqp:link:stolen"),
            ):
                refused.read(1)
        send(broker, ["1"])
        assert bodies(owner.read(2)) == [b"0", b"1"]
    with closing(Reader(broker, owner_level=4)) as next_owner:
        next_owner.read(2)


def test_a_sixth_reader_is_refused_until_one_leaves(broker: BrokerProcess) -> None:
    send(broker, ["0"])
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(closing(Reader(broker))).read(1)
        with closing(Reader(broker)) as fifth:
            fifth.read(1)
            with (
                closing(Reader(broker)) as sixth,
                pytest.raises(ConnectionLostError, match="amqp:resource-limit-exceeded"),
            ):
                sixth.read(1)
        stack.enter_context(closing(Reader(broker))).read(1)
