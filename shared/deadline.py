"""Limits the time that a piece of work may take: all code that waits checks how much time is left."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from math import inf
from time import monotonic

from shared.errors import DeadlineExceeded

_end: ContextVar[float] = ContextVar("deadline", default=inf)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Limits the with block to this much time, or to the time left of an enclosing block if that is less."""
    before = _end.set(min(_end.get(), monotonic() + seconds))
    try:
        yield
    finally:
        _end.reset(before)


def left() -> float:
    """Returns the seconds left for the current work: 0 or less if its time is up, infinity by default."""
    return _end.get() - monotonic()


def check(what: str) -> None:
    """Raises DeadlineExceeded if the time of the current work is up. `what` names the next step."""
    if left() <= 0:
        raise DeadlineExceeded(f"{what}: not started, because the time of this run is up")


@contextmanager
def hold(lock: threading.Lock, what: str) -> Iterator[None]:
    """Holds a lock during the with block. Raises DeadlineExceeded if it is not free in the time left."""
    if not lock.acquire(timeout=max(0.0, min(left(), threading.TIMEOUT_MAX))):
        raise DeadlineExceeded(f"{what} was not free within the time of this run")
    try:
        yield
    finally:
        lock.release()


def carried[**P, T](call: Callable[P, T]) -> Callable[P, T]:
    """Wraps a call for a thread pool, so that the time limit of the current work also applies to the call."""
    context = copy_context()

    def run(*arguments: P.args, **named: P.kwargs) -> T:
        return context.copy().run(call, *arguments, **named)

    return run


def bounded[T](call: Callable[[], T], seconds: float) -> T:
    """Runs a call in a thread, and returns its result or raises its exception.

    Raises TimeoutError if the call takes longer than `seconds`. The call then continues in its thread, and
    may still take effect: nothing can end it, because a peer that sends a byte now and then never triggers a
    timeout of the socket.
    """
    outcome: Future[T] = Future()
    context = copy_context()

    def run() -> None:
        try:
            outcome.set_result(context.run(call))
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            outcome.set_exception(error)

    threading.Thread(target=run, name="bounded", daemon=True).start()
    return outcome.result(seconds)
