"""A compacted file has exactly the rows of the files that it replaced."""

import numpy as np
import pytest

from shared.audit.contents import Lineage
from shared.audit.row_origins import strange
from shared.compaction.replaced_files import ReplacedFile
from shared.protocol.storage import BlobInfo
from shared.wording import counted
from tests.shared.audit.made import kinds

FILE = BlobInfo("compacted", 1, {})
ERASED = BlobInfo("compacted", 1, {"erased": "1"})


def origin(sequences: str, rows: int, partition: str = "ns/hub/0") -> ReplacedFile:
    return ReplacedFile(sequences, {"partition": partition, "sequences": sequences, "rows": str(rows)})


def lineage(*rows: int, partition: str = "ns/hub/0", duplicates: int = 0) -> Lineage:
    return Lineage([partition], np.zeros(len(rows), np.int64), np.array(rows, np.int64), duplicates)


ORIGINS = [origin("0-5", 2), origin("7,9-12", 3)]


def test_the_rows_of_all_replaced_files_have_no_findings() -> None:
    assert list(strange(FILE, lineage(0, 5, 7, 9, 12), ORIGINS)) == []
    assert list(strange(FILE, lineage(), [])) == []


@pytest.mark.parametrize("sequence", [6, 8, 13])
def test_a_sequence_number_of_no_replaced_file_is_damage(sequence: int) -> None:
    (finding,) = strange(FILE, lineage(0, 5, 7, 9, 12, sequence), ORIGINS)
    assert finding.code == "damaged"
    assert f"holds sequence {sequence} of ns/hub/0" in finding.message


def test_a_partition_of_no_replaced_file_is_damage() -> None:
    both = Lineage(["ns/hub/0", "ns/hub/1"], np.array([0, 0, 0, 0, 0, 1]), np.array([0, 5, 7, 9, 12, 0]), 0)
    assert kinds(strange(FILE, both, ORIGINS)) == ["damaged"]


@pytest.mark.parametrize("rows", [(0, 7, 9, 12), (0, 1, 5, 7, 9, 12)])
def test_another_number_of_rows_is_refuted(rows: tuple[int, ...]) -> None:
    (finding,) = strange(FILE, lineage(*rows), ORIGINS)
    assert finding.code == "rows_differ"
    assert finding.message == f"compacted has {counted(len(rows) - 3, 'row')} of 0-5, which had 2"


def test_a_file_without_remaining_rows_is_counted() -> None:
    assert kinds(strange(FILE, lineage(), ORIGINS)) == ["rows_differ"] * 2


def test_erased_rows_may_be_missing_but_none_may_be_added() -> None:
    assert list(strange(ERASED, lineage(0, 7, 9, 12), ORIGINS)) == []
    assert kinds(strange(ERASED, lineage(0, 1, 2, 7, 9, 12), ORIGINS)) == ["rows_differ"]


def test_duplicated_rows_are_found() -> None:
    (finding,) = strange(FILE, lineage(0, 5, 7, 9, 12, duplicates=2), ORIGINS)
    assert finding.code == "duplicates"
    assert "2 rows" in finding.message


def test_files_that_overlap_are_counted_together() -> None:
    """Overlaps chain: the first file meets the second, which meets the third."""
    chained = [origin("10-20", 2), origin("4-12", 2), origin("0-5", 1), origin("30", 1)]
    assert list(strange(FILE, lineage(4, 5, 11, 12, 20, 30), chained)) == []
    assert kinds(strange(FILE, lineage(4, 5, 11, 12, 30), chained)) == ["rows_differ"]


def test_a_replayed_row_belongs_to_its_original_partition() -> None:
    assert list(strange(FILE, lineage(3), [origin("3", 1, "ns/hub/0~1")])) == []
