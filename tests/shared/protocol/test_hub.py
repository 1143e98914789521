"""The state of a hub shows which ledgers belong to it and what is not committed."""

import pytest

from shared.input.hub_partition import HubPartition
from shared.protocol.hub import HubState, Position
from shared.protocol.incarnation import Incarnation
from shared.protocol.ledger import Ledger


@pytest.mark.parametrize(
    ("position", "incarnation", "drained", "behind"),
    [
        (Position(4, 100, empty=False), Incarnation(next=5, newest=100), True, 0),
        (Position(4, 100, empty=False), Incarnation(next=3, newest=90), False, 2),
        (Position(4, 100, empty=False), Incarnation(), False, 5),
        (Position(-1, -1, empty=True), Incarnation(), True, 0),
        # The hub was re-created, and holds fewer events than were committed of the old one.
        (Position(4, 200, empty=False), Incarnation(next=50, newest=100), False, 1),
    ],
)
def test_a_partition_is_drained_when_its_last_envelope_is_committed(
    position: Position,
    incarnation: Incarnation,
    drained: bool,  # noqa: FBT001 - a parameter of the test
    behind: int,
) -> None:
    assert position.drained(incarnation) is drained
    assert position.behind(incarnation) == behind


def test_a_ledger_belongs_to_the_hub_with_its_partition() -> None:
    ledger = Ledger(ledger_id="l", partition="ns/hub/0")
    assert HubState(1, {HubPartition("ns", "hub", "0"): Position(last=-1, enqueued=-1, empty=True)}).has(
        ledger
    )
    assert not HubState(1, {}).has(ledger)
