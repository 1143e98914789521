"""Nouns and verbs agree with their number, in every message of the program; quoted values are short."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wording import counted, quote

ROOT = Path(__file__).resolve().parents[2]
MODULES = [path for folder in ("shared", "local") for path in sorted((ROOT / folder).rglob("*.py"))]
NOUNS = (
    *("rows?", "files?", "records?", "envelopes?", "commits?", "events?", "messages?", "connections?"),
    *("errors?", "blobs?", "letters?", "numbers?", "rejections?", "keys?", "elements?", "gaps?", "segments?"),
    *("swaps?", "observations?", "folders?", "containers?", "runs?", "columns?", "ledgers?", "services?"),
    *("partitions?", "attempts?", "problems?", "minutes?"),
)
NOUN = re.compile(rf" (?!of |in |and |or |has |lacks |holds |replaced )(?:[a-z]+ )?(?:{'|'.join(NOUNS)})\b")
CONSTANT = re.compile(r"_?[A-Z_]+ |(?:\w+ // )?_?[A-Z]+ ")
NEVER_ONE = {"format_", "have", "copies", "limit", "stored['partition_count']"}
"""Words, and numbers that are greater than one wherever they precede a noun."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["records", "Records"]), inner)
    ),
    max_leaves=20,
)


def fixed(path: Path) -> Iterator[str]:
    """The number and the noun where a noun follows a number, whatever the number is."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            for value, text in zip(node.values, node.values[1:], strict=False):
                if isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant):
                    number, noun = ast.unparse(value.value), NOUN.match(str(text.value))
                    if noun and not number.startswith("counted("):
                        yield f"{number}{noun[0]}"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 files are"), (1, "1 file is"), (2, "2 files are"), (1234, "1,234 files are")],
)
def test_nouns_and_verbs_follow_their_number(number: int, text: str) -> None:
    assert counted(number, "file is", "files are") == text
    assert counted(number, "file") == text.rpartition(" ")[0]


def test_no_message_has_a_noun_that_ignores_its_number() -> None:
    found = {one for path in MODULES for one in fixed(path)}
    assert {
        one for one in found if not CONSTANT.match(one) and one.partition(" ")[0] not in NEVER_ONE
    } == set()


@given(JSON | st.binary() | st.text().map(lambda text: text * 50))
def test_a_quoted_value_is_short_printable_ascii(value: object) -> None:
    text = quote(value)
    assert len(text) <= 80
    assert text.isascii()
    assert text.isprintable()
