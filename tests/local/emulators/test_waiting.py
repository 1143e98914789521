"""A wait ends in a bounded time, and its failure says what was expected and what was seen."""

import itertools
import time

import pytest

from local.emulators.waiting import LOOK, WaitError, wait_until


def test_a_wait_ends_as_soon_as_the_condition_holds() -> None:
    calls = itertools.count()
    wait_until(lambda: next(calls) == 3, "the fourth call", pause=0)
    assert next(calls) == 4


def test_a_wait_without_progress_fails_with_the_log() -> None:
    log = f"too early{'.' * 5000}the end"
    with pytest.raises(WaitError) as raised:
        wait_until(lambda: False, "three files", seen=lambda: ["a", "b"], log=lambda: log, patience=0.05)
    said = str(raised.value)
    assert said.startswith("expected: three files; but nothing changed for 0.05 s; seen last: ['a', 'b']\n")
    assert said.endswith(".the end")
    assert "too early" not in said


def test_progress_extends_a_wait_up_to_its_limit() -> None:
    began, counts = time.monotonic(), itertools.count()
    patience = 2 * LOOK
    with pytest.raises(WaitError, match=r"but 2 s have passed; seen last: [34]$"):
        wait_until(lambda: False, "an end", seen=lambda: next(counts), patience=patience, limit=2)
    assert time.monotonic() - began > patience


def test_a_wait_that_is_hopeless_fails_at_once() -> None:
    with pytest.raises(WaitError, match="expected: a commit; but the host ended; seen last: nothing else"):
        wait_until(lambda: False, "a commit", hopeless=lambda: "the host ended")
