"""Dead letters can have a separate container; those that were written before it existed stay in use."""

import pytest

from local.emulators.azurite import Azurite
from shared.audit.audit import OK
from shared.azure import blob_storage
from shared.commands.dead_letter_replay import Choice, replay
from shared.compaction.compactor import Compactor
from shared.policies import CompactionPolicy, Connection
from shared.protocol.storage import Publication
from shared.tables.websocket_connection_logs import RECORDS
from tests import audits
from tests.contracts.test_storage import file
from tests.records import PARTITION
from tests.shared.commands.test_dead_letter_replay import mixed
from tests.shared.exported import Exported, lenient

LETTER = "_dead_letters/date=2030-03-17/hour=17/a.jsonl.gz"


class Both:
    """The same containers before and after dead letters get a separate one."""

    def __init__(self, azurite: Azurite, name: str) -> None:
        connection = Connection(string=azurite.connection_string)
        self.exported = Exported(azurite, name)
        self.letters = self.exported.service.create_container(f"{name}-letters")
        self.before = self.exported.storage
        self.after = blob_storage.connect(
            connection, connection, f"{name}-state", f"{name}-output", dead_letter_container=f"{name}-letters"
        )

    def move(self) -> None:
        """Changes the setting."""
        self.exported.storage = self.after

    def names(self) -> tuple[list[str], list[str]]:
        """Returns the dead letters in the output container, and in their own."""
        return self.exported.files("_dead_letters/"), list(self.letters.list_blob_names())


@pytest.fixture
def both(azurite: Azurite, unique: str) -> Both:
    return Both(azurite, unique)


def audited(both: Both) -> int:
    return audits.audited(both.exported.storage).status


def test_readers_of_the_output_container_find_no_dead_letter(both: Both) -> None:
    both.move()
    both.exported.export([mixed(0), mixed(1, old=()), mixed(2)])
    inside, apart = both.names()
    assert inside == []
    assert len(apart) > 0
    assert all(name.startswith("_dead_letters/") for name in apart)
    assert both.exported.files("parquet/")
    assert audited(both) == OK


def test_dead_letters_are_stored_in_their_own_container(both: Both) -> None:
    store, staged, rows = both.after, file(LETTER, b"letter"), file("parquet/a", b"rows")
    store.stage([staged, rows])
    assert not store.exists(LETTER)
    assert store.publish([staged.pending, rows.pending]) == [Publication.DONE] * 2
    assert store.publish([staged.pending]) == [Publication.ALREADY]
    assert both.names() == ([], [LETTER])
    for prefix in ("", "_", "_dead_letters/", "_dead_letters/date=2030", LETTER):
        assert [one.name for one in store.outputs(prefix) if one.name != "parquet/a"] == [LETTER]
    assert [one.name for one in store.outputs("parquet/")] == ["parquet/a"]
    assert store.part(LETTER, 2, 3) == b"tte"
    store.remove([LETTER, "parquet/a"])
    assert not store.exists(LETTER)
    assert both.names() == ([], [])


def test_files_staged_before_the_move_are_published_after_it(both: Both) -> None:
    staged = file(LETTER, b"letter")
    both.before.stage([staged])
    assert both.after.publish([staged.pending]) == [Publication.DONE]
    assert both.after.publish([staged.pending]) == [Publication.ALREADY]
    assert both.names() == ([LETTER], [])


def test_blocks_that_are_in_neither_container_are_gone(both: Both) -> None:
    assert both.after.publish([file(LETTER).pending]) == [Publication.BLOCKS_GONE]


def test_files_published_before_the_move_are_found_after_it(both: Both) -> None:
    staged = file(LETTER, b"letter")
    both.before.stage([staged])
    both.before.publish([staged.pending])
    assert both.after.publish([staged.pending]) == [Publication.ALREADY]
    assert both.after.exists(LETTER)
    assert [one.name for one in both.after.outputs("_dead_letters/")] == [LETTER]
    assert both.after.part(LETTER, 0, 6) == b"letter"
    both.after.remove([LETTER])
    assert both.names() == ([], [])


def test_audit_replay_and_compaction_work_across_the_move(both: Both) -> None:
    both.exported.export([mixed(0), mixed(1)])
    both.move()
    both.exported.export([mixed(2), mixed(3)])
    inside, apart = both.names()
    assert inside
    assert apart
    assert audited(both) == OK
    exporter = both.exported.exporter(lenient())
    done = replay(both.after, exporter, lenient(), Choice(), dry_run=False, progress=lambda *_: None)
    assert (done.letters, done.fit, done.rows, done.damaged) == (4, 4, 4, [])
    compactor = Compactor(
        both.after, CompactionPolicy(), lambda: both.exported.now() + 86_400_000_000, lambda: "c" * 32
    )
    compactor.run(60)
    assert audited(both) == OK
    ledger = both.exported.ledger(PARTITION)
    assert sum(ledger.counts.rejected.values()) == 4
    assert any(RECORDS.name in name for name in both.exported.files("parquet/"))
