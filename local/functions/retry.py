"""A function's retry policy (`@app.retry`): how many retries, and the delay before each.

The real host retries in memory and holds the checkpoint back meanwhile:
https://learn.microsoft.com/azure/azure-functions/functions-bindings-error-pages#retry-policies.
"""

from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class RetryPolicy:
    """`count` retries after the first attempt (-1: for ever), with delays in seconds."""

    count: int = 0
    minimum: float = 0
    maximum: float = 0

    @classmethod
    def of(cls, options: dict[str, Any] | None) -> Self:
        """The policy in a function's metadata; none is no retry."""
        return cls() if options is None else cls(**options)

    def allows(self, retry: int) -> bool:
        """Whether there is a retry of this number, from 1."""
        return self.count < 0 or retry <= self.count

    def delay(self, retry: int) -> float:
        """Seconds before the retry of this number, from 1: doubling up to the maximum."""
        # Above this exponent any minimum has passed 24 hours, and a float would overflow in the end.
        return min(self.maximum, self.minimum * 2.0 ** min(retry - 1, 30))
