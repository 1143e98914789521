"""The budget bounds the memory of all threads together, and no thread waits forever."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.export.memory_budget import ByteBudget


def test_threads_never_hold_more_than_the_budget() -> None:
    budget = ByteBudget(100)
    lock = threading.Lock()
    held = most = 0

    def work(size: int) -> None:
        nonlocal held, most
        with budget.hold(size):
            with lock:
                held += size
                most = max(most, held)
            threading.Event().wait(0.001)
            with lock:
                held -= size

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, [7, 30, 60, 99, 1, 50] * 40))
    assert held == 0
    assert 60 < most <= 100


def test_an_oversized_request_gets_the_whole_budget() -> None:
    budget = ByteBudget(100)
    entered = threading.Event()

    def wait() -> None:
        with budget.hold(1):
            entered.set()

    with budget.hold(1000):
        other = threading.Thread(target=wait)
        other.start()
        assert not entered.wait(0.05)
    assert entered.wait(60)
    other.join()


def test_a_large_request_is_not_overtaken_forever() -> None:
    budget = ByteBudget(100)
    done = threading.Event()

    def large() -> None:
        with budget.hold(100):
            done.set()

    with budget.hold(50):
        waiting = threading.Thread(target=large)
        waiting.start()
        late = threading.Thread(target=lambda: budget.hold(50).__enter__())
        threading.Event().wait(0.02)
        late.start()
        threading.Event().wait(0.02)
        assert not done.is_set()
    assert done.wait(60)
    waiting.join()
    late.join()


def test_memory_is_released_after_an_error() -> None:
    budget = ByteBudget(10)
    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), budget.hold(10):
            raise ValueError("broken")
    with budget.hold(10):
        pass
