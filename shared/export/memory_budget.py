"""Shares a budget of bytes among a process's threads, which bounds memory no matter how many run."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from threading import TIMEOUT_MAX

from shared import deadline
from shared.errors import DeadlineExceeded

WHAT = "MEMORY_BUDGET"


class ByteBudget:
    """A number of bytes. Callers wait, in order of their calls, until the bytes that they need are free."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._free = total
        self._turn = threading.Lock()
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Holds `size` bytes (at most the whole budget) during the with block.

        Raises DeadlineExceeded if they are not free in the time that the current work has left.
        """
        size = min(size, self._total)
        with deadline.hold(self._turn, WHAT), self._changed:
            if not self._changed.wait_for(lambda: self._free >= size, min(deadline.left(), TIMEOUT_MAX)):
                raise DeadlineExceeded(f"{WHAT}: {size} bytes were not free within the time of this run")
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()
