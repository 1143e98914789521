"""Folders behave like containers, as far as one process needs."""

from pathlib import Path

import pytest

from shared.convert.folder_storage import FolderStorage
from shared.errors import PreconditionFailed
from shared.protocol.ledger import PendingFile
from shared.protocol.storage import Publication

NAME = "parquet/table/a.part.parquet"


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    for name in ("state", "output"):
        (tmp_path / name).mkdir()
    return FolderStorage(tmp_path / "state", tmp_path / "output")


def test_a_file_of_several_blocks_is_published_whole_and_once(storage: FolderStorage) -> None:
    blocks = {"one": b"first ", "two": b"second ", "three": b"third"}
    file = PendingFile(
        name=NAME, block_ids=tuple(blocks), content_type="text/plain", metadata={}, staged_at=0
    )
    assert storage.publish([file]) == [Publication.BLOCKS_GONE]
    for block_id, data in blocks.items():
        storage.stage_block(NAME, block_id, data)
    assert not [one for one in storage.outputs("") if one.visible]
    assert storage.publish([file]) == [Publication.DONE]
    assert [one.name for one in storage.outputs("")] == [NAME]
    assert storage.part(NAME, 0, 100) == b"first second third"
    assert storage.part(NAME, 6, 6) == b"second"
    assert storage.publish([file]) == [Publication.ALREADY]
    storage.remove([NAME, "missing"])
    assert not storage.exists(NAME)


def test_state_is_replaced_only_if_nobody_else_wrote_it(storage: FolderStorage) -> None:
    etag = storage.write("ledgers/a", b"1", None)
    with pytest.raises(PreconditionFailed):
        storage.write("ledgers/a", b"2", None)
    storage.write("ledgers/a", b"2", etag)
    with pytest.raises(PreconditionFailed):
        storage.write("ledgers/a", b"3", etag)
    assert [one.data if one else None for one in storage.read_all(["ledgers/a", "b"])] == [b"2", None]
    assert storage.names("ledgers/") == ["ledgers/a"]
    storage.delete(["ledgers/a"])
    assert storage.read("ledgers/a") is None
