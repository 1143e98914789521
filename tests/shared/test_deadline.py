"""Work that waits ends when its time is up, with an error that names what it waited for."""

import threading
from concurrent.futures import ThreadPoolExecutor
from math import inf

import pytest

from shared import deadline
from shared.azure import blob_calls
from shared.errors import DeadlineExceeded
from shared.export.memory_budget import ByteBudget
from shared.policies import StorageTimeouts


def test_without_a_deadline_time_is_infinite() -> None:
    assert deadline.left() == inf
    deadline.check("anything")


def test_the_earlier_of_nested_deadlines_applies() -> None:
    with deadline.within(1000):
        with deadline.within(5000):
            assert 900 < deadline.left() <= 1000
        with deadline.within(10):
            assert deadline.left() <= 10
        assert deadline.left() > 900
    assert deadline.left() == inf


def test_the_step_that_was_not_started_is_named() -> None:
    with deadline.within(0), pytest.raises(DeadlineExceeded, match="read ledger: not started"):
        deadline.check("read ledger")


def test_no_storage_call_starts_after_the_deadline() -> None:
    made: list[int] = []
    with deadline.within(0), pytest.raises(DeadlineExceeded, match="read ledger: not started"):
        blob_calls.make("read ledger", lambda: made.append(1), StorageTimeouts())
    assert made == []


def test_a_call_that_takes_too_long_may_take_effect_later() -> None:
    go_on, done = threading.Event(), threading.Event()

    def slow() -> None:
        go_on.wait(60)
        done.set()

    with pytest.raises(TimeoutError):
        deadline.bounded(slow, 0.01)
    go_on.set()
    assert done.wait(60)


def test_a_bounded_call_returns_raises_and_knows_its_deadline() -> None:
    with deadline.within(1000):
        assert deadline.bounded(deadline.left, 60) <= 1000
    with pytest.raises(ZeroDivisionError):
        deadline.bounded(lambda: 1 // 0, 60)


def left_now(_: int) -> float:
    return deadline.left()


def test_threads_of_a_pool_have_the_deadline_of_their_work() -> None:
    with ThreadPoolExecutor(2) as pool, deadline.within(1000):
        assert all(left <= 1000 for left in pool.map(deadline.carried(left_now), range(4)))
        assert list(pool.map(left_now, range(2))) == [inf, inf]


def test_waiting_for_a_lock_ends_at_the_deadline() -> None:
    lock = threading.Lock()
    with (
        lock,
        deadline.within(0.05),
        pytest.raises(DeadlineExceeded, match="starts"),
        deadline.hold(lock, "starts"),
    ):
        pass
    with deadline.hold(lock, "starts"):
        assert lock.locked()
    assert not lock.locked()


@pytest.mark.parametrize("others", [1, 2])
def test_waiting_for_memory_ends_at_the_deadline(others: int) -> None:
    budget = ByteBudget(100)
    with budget.hold(100), ThreadPoolExecutor(others) as pool:

        def wait(_: int) -> bool:
            with (
                deadline.within(0.05),
                pytest.raises(DeadlineExceeded, match="MEMORY_BUDGET"),
                budget.hold(50),
            ):
                pass
            return True

        assert all(pool.map(wait, range(others)))
    with budget.hold(100):
        pass
