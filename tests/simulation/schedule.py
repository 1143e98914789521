"""The choices a simulation makes: reproducible from a seed, shrinkable to the few that matter."""

import random
from collections.abc import Callable, Sequence


class Choices:
    """Answers every question of a simulation from a list of numbers, and with the first option past its end.

    The first option is the simplest one, so a shorter list, or one with more zeros, is a simpler schedule.
    """

    def __init__(self, seed: int | None = None, taken: Sequence[int] = ()) -> None:
        self._random = None if seed is None else random.Random(seed)
        self._given = list(taken)
        self.taken: list[int] = []

    def below(self, n: int) -> int:
        """Returns a number from 0 to n - 1."""
        at = len(self.taken)
        if self._random:
            value = self._random.randrange(n)
        else:
            value = self._given[at] % n if at < len(self._given) else 0
        self.taken.append(value)
        return value

    def one[T](self, options: Sequence[T]) -> T:
        """Returns one of the options."""
        return options[self.below(len(options))]

    def happens(self, per_mille: int) -> bool:
        """Returns True in this many of a thousand cases, and never past the end."""
        return self.below(1000) >= 1000 - per_mille


def shrink(taken: Sequence[int], fails: Callable[[Sequence[int]], bool], tries: int = 2000) -> list[int]:
    """Returns a simpler list of choices that still fails, by cutting pieces and zeroing choices."""
    best, left = list(taken), tries

    def better(candidate: list[int]) -> bool:
        nonlocal best, left
        left -= 1
        if left < 0 or not fails(candidate):
            return False
        best = candidate
        return True

    size = max(1, len(best) // 2)
    while size and left > 0:
        at = 0
        while at < len(best) and left > 0:
            if not better(best[:at] + best[at + size :]):
                at += size
        size //= 2
    for at in range(len(best)):
        if at < len(best) and best[at]:
            better([*best[:at], 0, *best[at + 1 :]])
    return best
