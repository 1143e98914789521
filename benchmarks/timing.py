"""Takes turns: every job once, and again, so that what else the machine does hits all of them alike."""

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median, quantiles

type Job = Callable[[], object]


@dataclass(slots=True)
class Times:
    """Milliseconds of each run of a job."""

    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def over(self, other: "Times") -> float:
        """The median of how much longer this took in the same round, in CPU time."""
        return median(mine / theirs for mine, theirs in zip(self.cpu, other.cpu, strict=True))

    def __str__(self) -> str:
        low, _, high = quantiles(self.cpu, n=4)
        return (
            f"{median(self.cpu):8.2f} {low:8.2f} {high:8.2f} {min(self.cpu):8.2f}   {median(self.wall):8.2f}"
        )


HEADER = f"{'':28} {'CPU ms':>8} {'25 %':>8} {'75 %':>8} {'least':>8}   {'wall ms':>8}"


def interleaved(jobs: Mapping[str, Job], rounds: int) -> dict[str, Times]:
    """Runs every job so many times, in turns; the first turn does not count."""
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
