import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.emulators.event_hubs.partition_keys import partition_of

from .clients import partition_of_the_sdk


# The SDK hashes code points, the broker UTF-8: they agree on ASCII.
@settings(deadline=None)
@given(st.text(st.characters(codec="ascii"), min_size=1, max_size=60), st.integers(1, 40))
def test_the_partition_of_a_key_agrees_with_the_sdk(key: str, partition_count: int) -> None:
    assert partition_of(key, partition_count) == partition_of_the_sdk(key, partition_count)


@settings(deadline=None)
@given(st.text(), st.integers(1, 40))
def test_every_key_has_a_partition(key: str, partition_count: int) -> None:
    assert 0 <= partition_of(key, partition_count) < partition_count


@pytest.mark.parametrize("key", ["12 octets ok", "24 octets: two blocks ok"])
def test_keys_of_whole_blocks_are_hashed(key: str) -> None:
    assert partition_of(key, 32) == partition_of_the_sdk(key, 32)
