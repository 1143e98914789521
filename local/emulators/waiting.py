"""Waits until something holds, or fails in a bounded time and says what was expected and what was seen."""

import time
from collections.abc import Callable

PATIENCE = 90.0
"""Seconds without progress after which a wait fails. A step takes a second or two on an idle machine."""
LIMIT = 300.0
"""Seconds after which a wait fails despite progress."""
SHOWN = 4000
"""Characters of a log that a failure shows."""
LOOK = 0.5
"""Minimum seconds between two looks at the progress."""


class WaitError(RuntimeError):
    """What was expected did not happen; the message says what was seen last, and how the log ends."""


def wait_until(
    condition: Callable[[], bool],
    expected: str,
    *,
    seen: Callable[[], object] = lambda: "nothing else",
    hopeless: Callable[[], str] = lambda: "",
    log: Callable[[], str] = lambda: "",
    patience: float = PATIENCE,
    limit: float = LIMIT,
    pause: float = 0.1,
) -> None:
    """Waits until a condition holds.

    Args:
        condition: is called every `pause` seconds.
        expected: describes the condition, for the failure.
        seen: returns what the failure shows; whenever it returns something else, there was progress.
        hopeless: returns why the condition can no longer hold; empty if it can.
        log: returns the log whose end the failure shows.
        patience: seconds without progress after which it fails.
        limit: seconds after which it fails in any case.
        pause: seconds between two calls of the condition.

    Raises WaitError.
    """
    began = changed = time.monotonic()
    last, looked = seen(), began
    while not condition():
        now = time.monotonic()
        if now - looked >= min(LOOK, patience):
            looked, before, last = now, last, seen()
            changed = changed if last == before else now
        why = hopeless()
        if now - changed > patience:
            why = f"nothing changed for {patience:g} s"
        elif now - began > limit:
            why = f"{limit:g} s have passed"
        if why:
            raise WaitError(f"expected: {expected}; but {why}; seen last: {last}\n{log()[-SHOWN:]}".rstrip())
        time.sleep(pause)
