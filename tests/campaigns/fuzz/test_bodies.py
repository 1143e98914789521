"""Every body is accounted for completely, and none of its content reaches a place where it must not be."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.campaigns.fuzz.account import account
from tests.campaigns.fuzz.hunt import check_cpu
from tests.campaigns.fuzz.strategies import BODIES
from tests.effort import effort

FIXTURES = Path(__file__).parents[2] / "fixtures"
EXPECTED: dict[str, dict[str, int]] = json.loads((FIXTURES / "hostile" / "expected.json").read_text())
ALL = sorted(
    path
    for folder in ("hostile", "records")
    for path in (FIXTURES / folder).iterdir()
    if path.name not in {"README.md", "expected.json", "make.py"} and path.is_file()
)


@settings(
    max_examples=effort(100, 10_000),
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(BODIES)
def test_every_body_is_accounted_for_and_none_raises(bodies: list[bytes]) -> None:
    account(bodies)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_hostile_body_has_the_expected_result(name: str) -> None:
    found: dict[str, Any] = {"rows": 0, "rejected": 0, "skipped": 0}
    for one in account([(FIXTURES / "hostile" / name).read_bytes()]):
        found["rows"] += one.counts.rows
        found["rejected"] += sum(one.counts.rejected.values())
        found["skipped"] += one.counts.skipped
    assert found == EXPECTED[name]


def test_a_body_fails_if_it_is_too_slow_twice() -> None:
    body = b'{"records":[' + b'{"a":1},' * 2000 + b"{}]}"
    check_cpu([body], 1e9)
    with pytest.raises(AssertionError, match="times the CPU"):
        check_cpu([b"{}", body[:100], gzip.compress(b'{"records":[' + b'{"a":1},' * 200_000 + b"{}]}")], 1e9)


def test_all_hostile_bodies_in_one_batch_are_accounted_for() -> None:
    account([path.read_bytes() for path in ALL])
