"""Properties may be text: JSON, or the form with single quotes that Azure sometimes writes."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.input.properties import opened

LIMIT = 1 << 20
TEXTS = st.text(st.sampled_from("ab'\"\\ é"), max_size=6)


def single_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


@given(st.dictionaries(TEXTS, TEXTS, max_size=3))
def test_text_with_either_quotes_is_read(value: dict[str, str]) -> None:
    assert opened(orjson.dumps(value).decode(), LIMIT) == value
    members = ", ".join(f"{single_quoted(key)}: {single_quoted(text)}" for key, text in value.items())
    assert opened(f"{{{members}}}", LIMIT) == value


@pytest.mark.parametrize("value", [None, 1, {"a": 1}, ["x"], "", "text", "it's", "{'a': b}", '{"a"'])
def test_other_values_stay(value: Any) -> None:
    assert opened(value, LIMIT) is value


def test_text_that_needs_too_much_memory_stays() -> None:
    text = "[" + "{}," * 1000 + "{}]"
    assert len(opened(text, LIMIT)) == 1001
    assert opened(text, 1 << 16) is text
