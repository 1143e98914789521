"""The broker answers the .NET client's recorded conversations as it did in the recording."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from local.emulators.event_hubs.process import BrokerProcess

from .clients import bodies, read
from .conversations import HUBS, KEY, Conversation, fill

# Connections that were open at the same time, in the order of their opening and closing.
READS = [
    ["consumer/01"],
    ["consumer/02"],
    ["consumer/05"],
    [f"consumer/{number:02}" for number in range(6, 12)],
    *([f"epoch/{number:02}", f"epoch/{number + 1:02}"] for number in range(1, 15, 2)),
]


@pytest.fixture(scope="module", params=[KEY, None], ids=["key", "no key"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a broker that has the recorded events; these tests only read."""
    folder = tmp_path_factory.mktemp("filled")
    fill(folder)
    with BrokerProcess(folder, HUBS, groups=["exporter"], key=request.param) as broker:
        yield broker.port


@pytest.mark.parametrize("names", READS, ids="+".join)
def test_a_dotnet_client_gets_the_answers_it_understands(filled: int, names: list[str]) -> None:
    with ExitStack() as stack:
        conversations = [stack.enter_context(Conversation(filled, name)) for name in names]
        for conversation in conversations:
            conversation.open()
        for conversation in conversations:
            conversation.finish()
        for name, conversation in zip(names, conversations, strict=True):
            assert conversation.answers == conversation.expected, name


@pytest.mark.parametrize("key", [KEY, None])
def test_a_dotnet_client_sends_events_that_others_read(tmp_path: Path, key: str | None) -> None:
    with BrokerProcess(tmp_path, HUBS, groups=["exporter"], key=key) as broker:
        for name in ("consumer/03", "consumer/04"):
            with Conversation(broker.port, name) as conversation:
                conversation.open()
                conversation.finish()
                assert conversation.answers == conversation.expected
        for partition in ("0", "1"):
            assert bodies(read(broker, 1, hub="other", partition=partition)) == [b"a" + partition.encode()]
        single = [b"e%d" % number for number in range(20)]
        assert bodies(read(broker, 13, hub="one")) == [b"L0", b"L1", b"L2", *single[1::2]]
        assert bodies(read(broker, 10, hub="one", partition="1")) == single[::2]
