"""Publishing the files of a ledger distinguishes published files from lost ones."""

import pytest

from shared.errors import PreconditionFailed
from shared.protocol.commit_plan import CommitPlan
from shared.protocol.ledger import Ledger, PendingFile
from shared.protocol.publishing import BLOCKS_LIVE, publish, repair_ledger
from shared.protocol.stamp import Stamp
from tests.memory import MemoryStorage
from tests.records import PARTITION, TEN
from tests.shared.export.plans import envelope, make, record

NAME = Ledger.name(PARTITION)
STAMP = Stamp("cd" * 16, TEN)
LATER = Stamp("cd" * 16, TEN + BLOCKS_LIVE)
JUST_BEFORE = Stamp("cd" * 16, TEN + BLOCKS_LIVE - 1)


@pytest.fixture
def commit() -> CommitPlan:
    made = make([envelope(0, record("a"), record("b", 61)), envelope(1)])
    assert made
    return made


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage(lambda: TEN)


def listed(commit: CommitPlan) -> list[str]:
    return [file.pending.name for file in commit.files]


def test_the_ledger_of_a_crashed_owner_is_repaired(storage: MemoryStorage, commit: CommitPlan) -> None:
    storage.stage(commit.files)
    storage.write(NAME, commit.ledger.dump(), None)
    assert repair_ledger(storage, NAME, STAMP)
    assert all(storage.visible(name) for name in listed(commit))
    repaired = Ledger.parse(storage.state[NAME].data, NAME)
    assert repaired.files == ()
    assert repaired.ordinal == commit.ledger.ordinal + 1
    assert repaired.counts == commit.ledger.counts
    assert not repair_ledger(storage, NAME, STAMP)


def test_a_published_and_deleted_file_is_done(storage: MemoryStorage, commit: CommitPlan) -> None:
    storage.stage(commit.files)
    etag = storage.write(NAME, commit.ledger.dump(), None)
    publish(storage, NAME, commit.ledger, etag, STAMP)
    storage.remove_output(listed(commit)[0])
    ledger, _ = publish(storage, NAME, commit.ledger, etag, JUST_BEFORE)
    assert ledger.lost == ()
    assert not storage.visible(listed(commit)[0])


def test_files_that_expired_unpublished_are_lost_with_their_sequence_numbers(
    storage: MemoryStorage, commit: CommitPlan, caplog: pytest.LogCaptureFixture
) -> None:
    storage.stage(commit.files[1:])
    etag = storage.write(NAME, commit.ledger.dump(), None)
    ledger, changed = publish(storage, NAME, commit.ledger, etag, LATER)
    assert changed != etag
    assert [(one.folder, one.sequences) for one in ledger.lost] == [
        (listed(commit)[0].rpartition("/")[0] + "/", ((0, 1),))
    ]
    assert [file.name for file in ledger.files] == listed(commit)[1:]
    assert Ledger.parse(storage.state[NAME].data, NAME) == ledger
    assert "redeliver" in caplog.text


def test_missing_blocks_under_a_changed_ledger_mean_starting_again(
    storage: MemoryStorage, commit: CommitPlan
) -> None:
    etag = storage.write(NAME, commit.ledger.dump(), None)
    storage.write(NAME, commit.ledger.confirmed("ef" * 16, TEN).dump(), etag)
    with pytest.raises(PreconditionFailed, match="another writer"):
        publish(storage, NAME, commit.ledger, etag, LATER)


def test_a_lost_file_keeps_its_commits_sequence_numbers() -> None:
    file = PendingFile(
        name="parquet/T/date=2026-11-20/hour=10/x.parquet",
        block_ids=("b",),
        content_type="t",
        metadata={"sequences": "3,7-9", "incarnation": "2"},
        staged_at=TEN,
    )
    ledger = Ledger(ledger_id="l", partition=str(PARTITION), files=(file,)).with_lost([file], "ef" * 16, TEN)
    (lost,) = ledger.lost
    assert (lost.incarnation, lost.sequences) == (2, ((3, 3), (7, 9)))
    assert ledger.files == ()
