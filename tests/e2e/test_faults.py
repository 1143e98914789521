"""A short campaign that kills hosts and workers, stops storage and cuts connections, all at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.tables.websocket_connection_logs import RECORDS
from tests.campaigns.faults.campaign import campaign, traffic
from tests.campaigns.faults.stack import FaultyStack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[FaultyStack]:
    with FaultyStack(tmp_path / "stack", seed=5) as running:
        yield running


@pytest.mark.timeout(900)
def test_kills_stops_and_cuts_lose_and_duplicate_nothing(stack: FaultyStack) -> None:
    one = traffic(31, 300)
    outcome = campaign(stack, one, 2, lambda _: None, rate=len(one.sends) / 5)
    assert outcome.exact, outcome
    assert outcome.kills >= 2
    assert outcome.swaps >= 1
    assert outcome.versions >= 1
    assert any("/compacted-" in name for name in stack.files(f"parquet/{RECORDS.name}/"))
    assert outcome.counts.rows == one.truth.rows
    assert outcome.counts.rejected == one.truth.rejected
