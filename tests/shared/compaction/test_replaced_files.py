import pytest

from shared.compaction import replaced_files
from shared.compaction.replaced_files import KEY, ReplacedFile
from shared.errors import DamagedFile

ORIGINS = [
    ReplacedFile("parquet/a", {"rows": "3", "commit_id": "1", "ordinal": "7"}),
    ReplacedFile("parquet/b", {"rows": "5", "commit_id": "2"}),
]


def test_a_written_list_is_read_back() -> None:
    text = replaced_files.dump(ORIGINS)
    assert replaced_files.load({KEY.encode(): text.encode()}, "file") == ORIGINS


@pytest.mark.parametrize(
    "metadata", [None, {}, {KEY.encode(): b"?"}, {KEY.encode(): replaced_files.dump(ORIGINS)[:-8].encode()}]
)
def test_a_file_without_the_list_is_damaged(metadata: dict[bytes, bytes] | None) -> None:
    with pytest.raises(DamagedFile, match="does not say which files it replaced"):
        replaced_files.load(metadata, "file")


def test_a_thousand_files_take_less_than_a_hundred_bytes_each() -> None:
    origins = [
        ReplacedFile(
            f"parquet/t/hour=09/ns-{n % 4}-{n:020d}-{n + 63}-{n * n * 0x9E3779B97F4A7C15:032x}",
            {
                "partition": f"ns.servicebus.windows.net/hub/{n % 4}",
                "first_sequence": str(64 * n),
                "last_sequence": str(64 * n + 63),
                "sequences": f"{64 * n}-{64 * n + 63}",
                "rows_before": str(3172 * n),
                "rows": str(3000 + n * 7919 % 400),
            },
        )
        for n in range(1000)
    ]
    assert len(replaced_files.dump(origins)) < 100_000
