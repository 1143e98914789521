from collections.abc import Mapping

import pytest

from shared.compaction.own_files import is_own, may_be_of_archive
from shared.protocol.storage import BlobInfo
from tests.shared.compaction.test_grouping import compacted, exported

GOOD = exported()


@pytest.mark.parametrize("file", [GOOD, compacted()], ids=["exported", "compacted"])
def test_files_of_the_program_are_recognized(file: BlobInfo) -> None:
    assert is_own(file)


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        (GOOD.name.replace(GOOD.metadata["commit_id"], "f"), GOOD.metadata),
        (GOOD.name, {}),
        (GOOD.name, {**GOOD.metadata, "rows": "many"}),
        (GOOD.name, {**GOOD.metadata, "sequences": "?"}),
        (GOOD.name, {key: value for key, value in GOOD.metadata.items() if key != "sha256"}),
        (GOOD.name, {key: value for key, value in GOOD.metadata.items() if key != "commit_id"}),
        (GOOD.name.replace(".parquet", ".csv"), GOOD.metadata),
    ],
    ids=["name", "no metadata", "rows", "sequences", "no checksum", "no commit", "extension"],
)
def test_files_of_others_are_not_recognized(name: str, metadata: Mapping[str, str]) -> None:
    assert not is_own(BlobInfo(name, 9, metadata))


@pytest.mark.parametrize(
    ("metadata", "archived"),
    [
        ({"partition": "hub/a/0"}, False),
        ({"partition": "archive/service/2030-01"}, True),
        ({"manifest_id": "live"}, False),
        ({"manifest_id": "other"}, True),
    ],
)
def test_an_archive_has_its_own_partition_or_manifest(metadata: dict[str, str], *, archived: bool) -> None:
    assert may_be_of_archive(BlobInfo("a", 1, metadata), "live") is archived
