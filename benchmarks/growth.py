"""Draws as SVG how the cost of a record grows with the batch, open connections and partitions."""

from collections.abc import Mapping, Sequence
from functools import partial
from math import log10
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa

from benchmarks import connections as opened
from benchmarks import rivals
from benchmarks.timing import Job, interleaved
from benchmarks.workload import LEDGER, NOW, PARTITION, STAMP, Nothing, envelopes
from shared.connections import observations
from shared.connections.start_times import StartTimes
from shared.export import plan
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.input.validation import validate
from shared.policies import ExportPolicy
from shared.protocol.ledger import Ledger, Segment
from tests.memory import MemoryStorage

ROUNDS = 9
RECORDS = 5_000
SMALL = (20, 12_000)
"""A number of records, and the maximum microseconds that a batch of that size may take."""
OVER_FLOOR = 2.5
"""Maximum cost of a record, as a multiple of the floor."""
MANY_OPEN = 1.2
"""Maximum ratio of the costs with and without open connections."""
WIDTH, HEIGHT, MARGIN = 420, 260, 50
IN_A_ROW = 2
FAR = 50
"""Costs whose ratio exceeds this are drawn on a logarithmic scale."""

type Points = Sequence[tuple[float, float]]


def draw(path: Path) -> None:
    """Runs the measurements and draws the panels."""
    panels = [
        _panel("records in a batch", *_sizes()),
        _panel("records per envelope, 5,000 in the batch", *_shapes()),
        _panel("open connections that the process knows", *_open()),
        _panel("partitions, each with a commit to read", *_partitions()),
    ]
    parts = [
        f'<g transform="translate({n % IN_A_ROW * WIDTH},{n // IN_A_ROW * HEIGHT})">{panel}</g>'
        for n, panel in enumerate(panels)
    ]
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg"'
        f' viewBox="0 0 {WIDTH * IN_A_ROW} {HEIGHT * len(panels) // IN_A_ROW}"'
        f' font-family="sans-serif" font-size="11">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{"\n".join(parts)}\n</svg>\n'
    )


def _sizes() -> tuple[Points, Points]:
    batches = {
        records: envelopes(max(1, records // 50), min(50, records)) for records in (1, 20, 100, 500, 5_000)
    }
    batches[25_000] = envelopes(500, 50)
    found = _measured(
        {at: partial(_plan, batch) for at, batch in batches.items()}, {at: at for at in batches}
    )
    records, most = SMALL
    return found, [(records, most / records)]


def _shapes() -> tuple[Points, Points]:
    batches = {each: envelopes(RECORDS // each, each) for each in (1, 5, 50, 500)}
    table = observations.enrich(validate(PARTITION, batches[50], ExportPolicy()).table, Nothing())[0]
    floors: dict[int, Job] = {-at: partial(rivals.floor, batch, table) for at, batch in batches.items()}
    found = _measured({at: partial(_plan, batch) for at, batch in batches.items()} | floors)
    costs = dict(found)
    return [(at, costs[at]) for at in batches], [(at, OVER_FLOOR * costs[-at]) for at in batches]


def _open() -> tuple[Points, Points]:
    batch = envelopes(100, 50)
    jobs: dict[int, Job] = {}
    for number in (1, 1_000, 30_000, 600_000):
        storage = MemoryStorage()
        opened.fill(storage, number)
        known = StartTimes(storage, 1 << 60, lambda: NOW)
        known.refresh(LEDGER)
        jobs[number] = partial(_plan, batch, known)
    found = _measured(jobs)
    return found, [(at, MANY_OPEN * found[0][1]) for at, _ in found]


def _partitions() -> tuple[Points, Points]:
    """Measures a process that reads what other partitions have committed, and then commits once."""
    batch = envelopes(100, 50)
    rng = np.random.default_rng(1)
    jobs: dict[int, Job] = {}
    for number in (1, 4, 16, 64):
        storage = MemoryStorage()
        for n in range(number):
            numbers = np.arange(n * RECORDS // 4, (n + 1) * RECORDS // 4)
            segment = Segment(name=f"segments/{n}", ordinal=1, observations=len(numbers), newest=NOW)
            storage.put(segment.name, observations.dump(opened.made_observations(numbers, rng), "lz4"))
            partition = HubPartition("benchmark", "hub", str(n))
            ledger = Ledger(ledger_id="l", partition=str(partition), ordinal=1, segments=(segment,))
            storage.put(Ledger.name(partition), ledger.dump())
        jobs[number] = partial(_learn_and_plan, batch, storage)
    return _measured(jobs), []


def _learn_and_plan(batch: Sequence[Envelope], storage: MemoryStorage) -> None:
    known = StartTimes(storage, 0, lambda: NOW)
    known.refresh(LEDGER)
    _plan(batch, known)


def _plan(batch: Sequence[Envelope], known: observations.StartTimeLookup | None = None) -> None:
    plan.plan_commit(PARTITION, batch, LEDGER, known or Nothing(), ExportPolicy(), STAMP)


def _measured(jobs: Mapping[int, Job], records: Mapping[int, int] | None = None) -> Points:
    """Returns the microseconds of CPU time for each record."""
    pa.set_cpu_count(1)
    times = interleaved({str(at): job for at, job in jobs.items()}, ROUNDS)
    return [(at, 1000 * median(times[str(at)].cpu) / (records or {}).get(at, RECORDS)) for at in jobs]


def _panel(title: str, points: Points, limits: Points) -> str:
    print(f"{title}: " + ", ".join(f"{x:,.0f}: {y:.1f}" for x, y in points))
    heights = [y for _, y in (*points, *limits)]
    wide = max(heights) > FAR * min(heights)
    scale = log10 if wide else float
    top = scale(max(heights)) * 1.1
    left, right = log10(points[0][0]), log10(points[-1][0])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (log10(x) - left) / (right - left)
        return MARGIN + across * (WIDTH - 2 * MARGIN), HEIGHT - MARGIN - scale(y) / top * (
            HEIGHT - 2 * MARGIN
        )

    def line(points: Points, color: str) -> str:
        path = "L".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
        return f'<path d="M{path}" stroke="{color}" stroke-width="2" fill="none"/>'

    parts = [f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">{title}</text>']
    parts.append(f'<text x="{MARGIN}" y="24">µs of CPU time for each record</text>')
    for y in (
        (1.0, 10.0, 100.0, 1_000.0, 10_000.0)
        if wide
        else range(0, int(max(heights)) + 1, 1 + int(max(heights) / 6))
    ):
        if scale(y) <= top:
            _, at = place(points[0][0], y)
            parts.append(f'<path d="M{MARGIN},{at:.1f}H{WIDTH - MARGIN}" stroke="#ddd"/>')
            parts.append(f'<text x="{MARGIN - 8}" y="{at + 4:.1f}" text-anchor="end">{y:,.0f}</text>')
    parts += [line(points, "#06c"), line(limits, "#c00") if len(limits) > 1 else ""]
    for x, y in points:
        across, up = place(x, y)
        parts.append(f'<circle cx="{across:.1f}" cy="{up:.1f}" r="3" fill="#06c"/>')
        parts.append(f'<text x="{across:.1f}" y="{up + 16:.1f}" text-anchor="middle">{y:,.1f}</text>')
        parts.append(f'<text x="{across:.1f}" y="{HEIGHT - 32}" text-anchor="middle">{x:,.0f}</text>')
    for x, y in limits[-1:]:
        across, up = place(x, y)
        parts.append(f'<path d="M{across - 18:.1f},{up:.1f}h36" stroke="#c00" stroke-width="2"/>')
        parts.append(
            f'<text x="{across:.1f}" y="{up - 6:.1f}" text-anchor="middle" fill="#c00">limit {y:,.1f}</text>'
        )
    return "\n".join(parts)
