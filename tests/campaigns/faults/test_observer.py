"""The observer of a campaign finds every violation that readers can see."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from azure.storage.blob import ContainerClient

from local.emulators.azurite import Azurite
from shared.compaction import compaction_state
from shared.compaction.compaction_state import CompactionState
from shared.compaction.compactor import Compactor
from shared.policies import CompactionPolicy
from shared.timeunits import HOUR
from tests.campaigns.faults.observer import FOLDER, Observer
from tests.records import EPOCH
from tests.shared.exported import Exported, envelopes

LISTING = CompactionPolicy(enabled=False, reach=timedelta(days=1), delta=True)


@dataclass
class Watched:
    """Containers with exported and compacted files."""

    exported: Exported

    def container(self, _name: str) -> ContainerClient:
        return self.exported.output

    def compaction(self) -> CompactionState:
        return CompactionState.parse(self.exported.state.download_blob(compaction_state.NAME).readall())


@pytest.fixture
def watched(azurite: Azurite, unique: str) -> Iterator[Watched]:
    exported = Exported(azurite, unique)
    exported.export(envelopes(0, 9))
    later = EPOCH + 6 * HOUR
    Compactor(exported.storage, LISTING, lambda: later, lambda: uuid.uuid4().hex).run(60)
    yield Watched(exported)
    exported.close()


def test_the_observer_finds_lost_and_duplicated_rows(watched: Watched) -> None:
    observer, exported = Observer(watched), watched.exported
    for _ in range(2):
        observer.look_at_the_table()
        observer.look_at_the_folders()
    assert observer.broken == []
    assert len(observer.versions) == 1
    name = exported.files(f"{FOLDER}date=")[0]
    exported.copy(name, name.replace(".part", "-copy.part"))
    observer.look_at_the_folders()
    assert "twice without a swap" in observer.broken.pop()
    for one in (name, name.replace(".part", "-copy.part")):
        exported.output.delete_blob(one)
    observer.look_at_the_table()
    assert "names files that are gone" in observer.broken.pop()
    observer.look_at_the_folders()
    assert "vanished from the folders" in observer.broken.pop()
    (newest, *_) = sorted(
        (file for file in exported.files(f"{FOLDER}_delta_log/") if file.endswith(".json")), reverse=True
    )
    exported.output.delete_blob(newest)
    for file in exported.files(f"{FOLDER}_delta_log/"):
        if "checkpoint" in file:
            exported.output.delete_blob(file)
    observer.look_at_the_table()
    assert "went back" in observer.broken[0]
