"""A budget of bytes that the threads of a process share: it bounds memory however many work at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class ByteBudget:
    """So many bytes; who needs some waits until they are free. First come, first served."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._free = total
        self._turn = threading.Lock()
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        """Takes `size` bytes, or all there are if it is more, for the length of a with block."""
        size = min(size, self._total)
        with self._turn, self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()
