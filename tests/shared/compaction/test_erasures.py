"""Records of erasures prove the rows that are left, and hold no values."""

from shared.compaction import erasures
from tests.audits import findings
from tests.shared.erasure.made import HER, HIM
from tests.shared.erasure.test_tampering import erased


def test_without_its_erasure_a_file_is_refuted() -> None:
    made = erased()
    names = made.storage.names(erasures.PREFIX)
    assert len(names) == 1  # they were compacted
    del made.storage.state[names[0]]
    report = made.audit(deep=False)
    assert (report.status, {one.code for one in findings(report)}) == (1, {"not_erased"})
    assert len(findings(report)) > 1, "each file is named"


def test_records_of_erasures_hold_no_values() -> None:
    made = erased()
    for name in made.storage.names(erasures.PREFIX):
        assert HIM.encode() not in made.storage.state[name].data
        assert HER.encode() not in made.storage.state[name].data
