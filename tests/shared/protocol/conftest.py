"""The ledger of a hub that is about to be deleted."""

import pytest

from shared.protocol.hub_changes import with_hub_created
from shared.protocol.ledger import Ledger
from tests.shared.protocol.made import committed, envelopes


@pytest.fixture
def old() -> Ledger:
    """A ledger with events 0 to 99 of the old hub, which the timer has seen."""
    empty = with_hub_created(Ledger(ledger_id="l", partition="ns/hub/0"), 1)
    return committed(empty, envelopes(0, 99, 500))
