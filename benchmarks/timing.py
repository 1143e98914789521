"""Runs jobs alternately, so that other load on the machine affects all of them equally."""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles

type Job = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with its spread: the median of the rounds, and the quartiles."""

    rounds: Sequence[float]
    unit: str = ""

    @property
    def value(self) -> float:
        """The median."""
        return median(self.rounds)

    @property
    def spread(self) -> str:
        """From the first quartile to the third; empty for a single measurement."""
        if len(self.rounds) == 1:
            return ""
        low, _, high = quantiles(self.rounds, n=4)
        return f"{low:.2f} to {high:.2f}"

    def __str__(self) -> str:
        return f"{self.value:.2f}{self.unit and ' '}{self.unit}"


@dataclass(slots=True)
class Times:
    """Milliseconds of each run of a job."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def over(self, other: "Times") -> Figure:
        """Returns the ratio of CPU times in the same rounds."""
        return Figure([mine / theirs for mine, theirs in zip(self.cpu, other.cpu, strict=True)])

    def __str__(self) -> str:
        parts = [
            f"{median(each):9.2f} {Figure(each).spread:>18} {min(each):8.2f}"
            for each in (self.cpu, self.wall)
        ]
        return "  ".join(parts)


HEADER = "  ".join(
    [f"{'':28}", *(f"{f'{kind} ms':>9} {'25 to 75 %':>18} {'least':>8}" for kind in ("CPU", "wall"))]
)


def interleaved(jobs: Mapping[str, Job], rounds: int) -> dict[str, Times]:
    """Runs every job in each round, alternately; the first round does not count."""
    times = {name: Times() for name in jobs}
    for turn in range(rounds + 1):
        for name, job in jobs.items():
            gc.collect()
            wall, cpu = time.perf_counter(), time.process_time()
            job()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            if turn:
                times[name].cpu.append(1000 * cpu)
                times[name].wall.append(1000 * wall)
    return times
