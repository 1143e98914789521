"""JSON beyond the limits of orjson is written in the same form."""

import orjson
import pytest

from shared.input.exact_json import dumps


@pytest.mark.parametrize("text", ["é", "\u0001", "😀", "a/b"])
def test_large_integers_do_not_change_the_form_of_other_values(text: str) -> None:
    value = {text: [text, 1.5, None, True]}
    large = 10**30
    assert dumps({"n": large} | value) == orjson.dumps({"n": 0} | value).replace(b"0", b"%d" % large, 1)
