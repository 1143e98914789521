from shared.compaction.summary import Swapped
from tests.metric_reader import Collect


def test_a_swap_reports_the_merged_files(collect: Collect) -> None:
    Swapped("Logs", files=5, bytes_in=100, bytes_out=40, rows=7, seconds=1.5, swap_seconds=0.25).report()
    at = "table=Logs"
    assert collect() == {
        f"compaction.files.in {at}": 5,
        f"compaction.files.out {at}": 1,
        f"compaction.bytes.in {at}": 100,
        f"compaction.bytes.out {at}": 40,
        f"compaction.rows {at}": 7,
        f"compaction.time {at}": 1.5,
        f"compaction.swap.time {at}": 0.25,
    }
