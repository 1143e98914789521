"""The number of messages that may be set aside in an hour is limited."""

from shared.export import set_aside


def test_the_limit_is_a_hundred_an_hour() -> None:
    assert set_aside.MAX_BROKEN == 100
