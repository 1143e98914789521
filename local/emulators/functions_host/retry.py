"""Implements a function's retry policy (`@app.retry`): the number of retries, and the delay before each.

The real host retries in memory and meanwhile writes no checkpoint:
https://learn.microsoft.com/azure/azure-functions/functions-bindings-error-pages#retry-policies. The delays
are those of `RandomizedExponentialBackoffStrategy` in azure-webjobs-sdk, and were observed in a real host.
"""

import random
from dataclasses import dataclass
from typing import Any, Self

_JITTER = (0.8, 1.2)


@dataclass(frozen=True)
class RetryPolicy:
    """Allows `count` retries after the first attempt (-1: no limit), with delays in seconds."""

    count: int = 0
    minimum: float = 0
    maximum: float = 0

    @classmethod
    def of(cls, options: dict[str, Any] | None) -> Self:
        """Takes the policy from a function's metadata; None means no retry."""
        return cls() if options is None else cls(**options)

    def allows(self, retry: int) -> bool:
        """Whether there is a retry with this number, counted from 1."""
        return self.count < 0 or retry <= self.count

    def delay(self, retry: int, jitter: float | None = None) -> float:
        """Returns the seconds before the retry with this number, counted from 1.

        The first retry waits for the minimum. Each later one adds an increment, which doubles each time and
        varies by a fifth, until the maximum is reached. By default, `jitter` (0.8 to 1.2) is random.
        """
        if retry == 1 or self.minimum == self.maximum:
            return self.minimum
        factor = random.uniform(*_JITTER) if jitter is None else jitter
        # With this exponent, any minimum exceeds 24 hours; without a limit, the float would finally overflow.
        return min(self.maximum, self.minimum + self.minimum * factor * 2.0 ** min(retry - 2, 30))
