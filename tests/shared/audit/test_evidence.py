"""Findings are listed worst first, and a kind of finding cannot hide the others."""

from hypothesis import given
from hypothesis import strategies as st

from shared.audit.evidence import SHOWN, Finding, Level, worst_first

FINDINGS = st.lists(st.builds(Finding, st.sampled_from(Level), st.sampled_from("ab"), st.text(max_size=2)))


@given(FINDINGS)
def test_findings_are_sorted_by_level_and_kind(findings: list[Finding]) -> None:
    shown = list(worst_first(findings))
    order = list(Level)
    keys = [(order.index(one.level), one.code) for one in shown]
    assert keys == sorted(keys)
    assert set(keys) == {(order.index(one.level), one.code) for one in findings}


@given(st.integers(0, 3 * SHOWN))
def test_more_findings_of_a_kind_are_only_counted(number: int) -> None:
    shown = list(worst_first(Finding(Level.NOTE, "a", str(n)) for n in range(number)))
    assert [one.message for one in shown[:SHOWN]] == [str(n) for n in range(min(number, SHOWN))]
    assert [one.message for one in shown[SHOWN:]] == (
        [f"… and {number - SHOWN} more of this kind"] if number > SHOWN else []
    )
