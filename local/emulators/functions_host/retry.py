"""A function's retry policy (`@app.retry`): how many retries, and the delay before each.

The real host retries in memory and holds the checkpoint back meanwhile:
https://learn.microsoft.com/azure/azure-functions/functions-bindings-error-pages#retry-policies. The delays
are those of `RandomizedExponentialBackoffStrategy` in azure-webjobs-sdk, and were seen in a real host.
"""

import random
from dataclasses import dataclass
from typing import Any, Self

_JITTER = (0.8, 1.2)


@dataclass(frozen=True)
class RetryPolicy:
    """Allows `count` retries after the first attempt (-1: without end), with delays in seconds."""

    count: int = 0
    minimum: float = 0
    maximum: float = 0

    @classmethod
    def of(cls, options: dict[str, Any] | None) -> Self:
        """Take the policy from a function's metadata; None means no retry."""
        return cls() if options is None else cls(**options)

    def allows(self, retry: int) -> bool:
        """Whether there is a retry with this number, counted from 1."""
        return self.count < 0 or retry <= self.count

    def delay(self, retry: int, jitter: float | None = None) -> float:
        """Seconds before the retry with this number, counted from 1.

        The first waits for the minimum. Each later one adds an increment that doubles, and that varies by a
        fifth, until the maximum is reached. `jitter` (0.8 to 1.2) is drawn at random by default.
        """
        if retry == 1 or self.minimum == self.maximum:
            return self.minimum
        factor = random.uniform(*_JITTER) if jitter is None else jitter
        # Beyond this exponent, any minimum has passed 24 hours; a float would overflow in the end.
        return min(self.maximum, self.minimum + self.minimum * factor * 2.0 ** min(retry - 2, 30))
