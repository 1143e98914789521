"""Records are grouped in order of appearance, and every record can be serialized."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from shared.input.grouping import dumped, groups, pick


@given(st.lists(st.sampled_from("abc")))
def test_each_position_is_in_the_group_of_its_key(keys: list[str]) -> None:
    found = groups(keys)
    assert [key for key, _ in found] == list(dict.fromkeys(keys))
    for key, at in found:
        assert pick(list(range(len(keys))), at) == [n for n, one in enumerate(keys) if one == key]


def test_a_single_key_needs_no_positions() -> None:
    values = [1, 2]
    assert groups(["a", "a"]) == [("a", None)]
    assert pick(values, None) is values
    assert groups([]) == []


def test_integers_beyond_64_bits_are_serialized_too() -> None:
    assert dumped([{"n": 1}, {"n": 1 << 80}]) == [b'{"n":1}', b'{"n":%d}' % (1 << 80)]
    assert list(map(orjson.loads, dumped([{"a": "é"}]))) == [{"a": "é"}]
