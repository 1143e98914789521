"""Connections are erased from the state table, so that no more rows are written for them."""

from datetime import timedelta

import pyarrow as pa
import pytest

from shared.connections import manifest
from shared.connections.manifest import Manifest, Part
from shared.connections.observations import load
from shared.erasure import connection_state
from shared.erasure.selection import Selection
from shared.protocol.ledger import Ledger
from shared.protocol.stamp import Stamp
from shared.protocol.storage import Storage
from tests.records import LATER, PARTITION
from tests.shared.erasure.made import HER, HIM, Made
from tests.shared.erasure.test_file_eraser import CONNECTIONS, RECORDS, SELECTION


def test_open_connections_are_erased_and_never_written() -> None:
    made = Made()
    made.export(0, 11)
    made.finish(idle=timedelta(hours=24))
    assert not made.ids("parquet/" + CONNECTIONS)
    made.now = LATER
    his = {row["CorrelationId"] for row in made.rows("parquet/" + RECORDS) if row["Source"] == HIM}
    hers = set(made.ids("parquet/" + RECORDS)) - his
    assert connection_state.find(made.storage, SELECTION) == connection_state.StateMatches(len(his), 0)
    assert connection_state.erase(made.storage, SELECTION, lambda: Stamp(made.new_id(), made.tick())) == len(
        his
    )
    assert connection_state.find(made.storage, SELECTION) == connection_state.StateMatches()
    made.erase(SELECTION)
    made.export(20, 22)
    made.finish()
    written = set(made.ids("parquet/" + CONNECTIONS))
    assert hers <= written
    assert not his & written
    assert HIM in {row["Source"] for row in made.rows("parquet/" + CONNECTIONS)}  # of later records
    assert made.audit().status == 0


def test_observations_that_the_timer_has_not_merged_are_counted() -> None:
    made = Made()
    made.export(0, 5)
    his = sum(row["Source"] == HIM for row in made.rows("parquet/" + RECORDS))
    assert connection_state.find(made.storage, SELECTION) == connection_state.StateMatches(0, his)


def test_merged_observations_are_erased_even_from_an_idle_partition() -> None:
    made = Made()
    made.export(0, 5)
    made.finish()
    assert made.storage.names("segments/")
    connection_state.forget(made.storage, lambda: Stamp(made.new_id(), made.tick()))
    made.finish()
    assert not made.storage.names("segments/")
    made.export(6, 9)
    made.finish()
    assert {f"c-{number}-1" for number in range(7)} <= set(made.ids("parquet/" + CONNECTIONS))
    assert made.audit().status == 0


def test_orphaned_observations_are_erased_unless_the_ledger_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = Made()
    write = made.storage.write

    def overtaken(name: str, data: bytes, etag: str | None) -> str:
        monkeypatch.undo()
        made.export(0, 5)
        return write(name, data, etag)

    monkeypatch.setattr(made.storage, "write", overtaken)
    made.export(0, 5)
    made.finish()
    made.now = LATER

    def held() -> list[str]:
        segments = [name for name in made.storage.names("segments/") if name.endswith(".arrow")]
        return [name for name in segments if SELECTION.state(load(made.storage.state[name].data)).any()]

    def erase() -> int:
        return connection_state.erase(made.storage, SELECTION, lambda: Stamp(made.new_id(), made.tick()))

    before = held()
    ledger = made.storage.state.pop(Ledger.name(PARTITION))
    ledger_id = Ledger.parse(ledger.data, "ledger").ledger_id
    listed = [name for name in before if ledger_id in name]
    assert len(listed) == len(before) - 1
    assert erase()
    assert held() == before, "all but one are the lost ledger's, which may be restored"
    made.storage.state[Ledger.name(PARTITION)] = ledger
    assert connection_state.find(made.storage, SELECTION).connections == erase() > 0
    assert held() == listed
    connection_state.forget(made.storage, lambda: Stamp(made.new_id(), made.tick()))
    made.finish()
    assert held() == []
    assert connection_state.find(made.storage, SELECTION) == connection_state.StateMatches()
    assert made.audit().status == 0


def test_an_empty_part_is_removed() -> None:
    made = Made()
    made.export(0, 11)
    made.finish(idle=timedelta(hours=24))
    chosen = Selection("Source", (HIM, HER))
    assert connection_state.erase(made.storage, chosen, lambda: Stamp(made.new_id(), made.tick()))
    blob = made.storage.read(manifest.NAME)
    assert blob
    assert Manifest.parse(blob.data).parts == ()
    made.export(12, 16)
    made.finish()
    assert made.ids("parquet/" + CONNECTIONS)


def test_a_concurrent_timer_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Made()
    made.export(0, 11)
    made.finish(idle=timedelta(hours=24))
    made.export(12, 14)
    read = connection_state._read
    done: list[Part] = []

    def overtaken(storage: Storage, part: Part) -> pa.Table:
        if not done:
            done.append(part)
            made.finish(idle=timedelta(hours=24))
        return read(storage, part)

    monkeypatch.setattr(connection_state, "_read", overtaken)
    connection_state.erase(made.storage, SELECTION, lambda: Stamp(made.new_id(), made.tick()))
    assert connection_state.find(made.storage, SELECTION).connections == 0
    monkeypatch.undo()
    made.finish()
    assert {row["Source"] for row in made.rows("parquet/" + CONNECTIONS)} == {HER}
