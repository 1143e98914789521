"""Only malformed records of a damaged body are lost."""

import orjson
import pytest

from shared.input import bodies
from shared.input.rejections import Unreadable
from shared.input.salvage import Malformed
from tests.shared.input.test_bodies import LIMIT, records

GOOD = [{"category": "x", "a": [{"b": "},{"}]}, {"category": "x", "Type": None, "a": {"b": {"c": 1}}}]


BAD = [
    *(
        b'{"a":NaN}',
        b"{'a':'b'}",
        b'{"a":"x\ny"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xe9"}',
        b'{"a":1,}',
        b'{"a":"b}',
    ),
    *(b'{"a":{"b":1}', b'{"a":tru}', b'{"a" 1}', b"{a:1}", b'{"a":01}', b'{"a":"\\x"}', b'{"a":"b"c"}', b"{"),
    *(b'{"category":"x","a":[1,2}', b'{"a":"\x01"}'),
]


def test_records_that_lack_a_brace_are_rejected_one_by_one() -> None:
    bad = b'{"category":"x","a":{"b":1}'
    found = records(b'{"records":[' + b",".join([bad] * 1000 + [b'{"category":"x"}']) + b"]}")
    assert found == [Malformed(bad)] * 1000 + [{"category": "x"}]


@pytest.mark.parametrize("form", [b'{"records":[%b]}', b"[%b]", b'[{"records":[%b]}]', b'{"records":[%b'])
@pytest.mark.parametrize("bad", BAD)
def test_a_malformed_record_does_not_affect_its_neighbors(bad: bytes, form: bytes) -> None:
    good = list(map(orjson.dumps, GOOD))
    for at in range(3):
        written = [*good]
        written.insert(at, bad)
        found = records(form % b",".join(written))
        assert [record for record in found if type(record) is dict] == GOOD
        assert [type(record) for record in found].count(Malformed) == 1


@pytest.mark.parametrize("body", [b'{"records":[', b'{"records": [ ', b'{"records":[]', b"["])
def test_a_body_cut_off_before_its_first_record_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        bodies.records(body, LIMIT)
