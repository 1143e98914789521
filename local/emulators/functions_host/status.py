"""Reports the host's events to its driver: one JSON object per line on standard output."""

import json
import sys
import threading
from typing import TextIO


class Status:
    """Writes status lines; every line has `event`, `host` and the event's own fields (see the package)."""

    def __init__(self, host: str, out: TextIO = sys.stdout) -> None:
        self._host = host
        self._out = out
        self._lock = threading.Lock()

    def report(self, event: str, **fields: object) -> None:
        """Writes one complete line and flushes it."""
        line = json.dumps({"event": event, "host": self._host} | fields)
        with self._lock:
            self._out.write(line + "\n")
            self._out.flush()
