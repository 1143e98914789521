"""Numbers are finite, and text holds one only in decimal notation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.input import numbers


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_and_its_text_are_the_same(number: float) -> None:
    assert numbers.read(number) == numbers.read(repr(number)) == number
    assert numbers.read(f" {number!r}\n") == number


@pytest.mark.parametrize(
    ("value", "number"), [(7, 7), ("+7", 7), ("7.", 7), (".5", 0.5), ("-1E3", -1000), ("\x1c7\x1f", 7)]
)
def test_decimal_notations_are_read(value: object, number: float) -> None:
    assert numbers.read(value) == number


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, [1], {}, "", " ", ".", "1_000", "0x10", "1,5", "nan", "inf", "1e", "1 2", "٣"),
        *(float("nan"), float("inf"), "1e999", 10**400),
    ],
)
def test_other_values_are_rejected(value: object) -> None:
    assert numbers.read(value) is None
