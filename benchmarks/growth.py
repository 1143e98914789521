"""Draws how the cost of a record grows with what a batch is like, as SVG."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import log10
from pathlib import Path
from statistics import median

from benchmarks.timing import interleaved
from benchmarks.workload import envelopes
from shared.envelope import Envelope

ROUNDS = 9
RECORDS = 5_000
LIMIT = 12_000
"""Microseconds that a batch of 20 records may take."""
WIDTH, HEIGHT, MARGIN = 420, 260, 50

type Points = Sequence[tuple[float, float]]


def draw(path: Path, make: Callable[[Sequence[Envelope]], object]) -> None:
    """Measures, and draws two panels: by records in a batch, and by records to an envelope."""
    sizes = {
        records: envelopes(max(1, records // 50), min(50, records)) for records in (1, 20, 100, 500, 5000)
    }
    sizes[25_000] = envelopes(500, 50)
    shapes = {each: envelopes(RECORDS // each, each) for each in (1, 5, 20, 50, 100, 500)}
    panels = [
        _panel("records in a batch", _measured(sizes, make), (20, LIMIT / 20)),
        _panel("records to an envelope, 5,000 in the batch", _measured(shapes, make), None),
    ]
    parts = [f'<g transform="translate({n * WIDTH},0)">{panel}</g>' for n, panel in enumerate(panels)]
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * len(parts)} {HEIGHT}"'
        f' font-family="sans-serif" font-size="11">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{"\n".join(parts)}\n</svg>\n'
    )


def _measured(batches: dict[int, list[Envelope]], make: Callable[[Sequence[Envelope]], object]) -> Points:
    """Microseconds of CPU time for each record."""
    times = interleaved({str(at): lambda batch=batch: make(batch) for at, batch in batches.items()}, ROUNDS)  # type: ignore[misc]
    counts = {at: sum(one.body.count(b'"correlationId"') for one in batch) for at, batch in batches.items()}
    found = [(float(at), 1000 * median(times[str(at)].cpu) / counts[at]) for at in batches]
    for at, cost in found:
        print(f"{at:10,.0f}: {cost:8.1f} µs a record")
    return found


def _panel(title: str, points: Points, limit: tuple[float, float] | None) -> str:
    every = [*points, *([limit] if limit else [])]
    left, right = log10(min(x for x, _ in every)), log10(max(x for x, _ in every))
    low, high = 0.0, log10(max(y for _, y in every)) * 1.1

    def place(x: float, y: float) -> tuple[float, float]:
        across = (log10(x) - left) / (right - left)
        up = (log10(y) - low) / (high - low)
        return MARGIN + across * (WIDTH - 2 * MARGIN), HEIGHT - MARGIN - up * (HEIGHT - 2 * MARGIN)

    parts = [f'<text x="{WIDTH / 2}" y="{HEIGHT - 12}" text-anchor="middle">{title}</text>']
    parts.append(f'<text x="{MARGIN}" y="24">µs of CPU time for each record</text>')
    for y in (1.0, 10.0, 100.0, 1000.0, 10_000.0):
        if low <= log10(y) <= high:
            _, at = place(points[0][0], y)
            parts.append(f'<path d="M{MARGIN},{at:.1f}H{WIDTH - MARGIN}" stroke="#ddd"/>')
            parts.append(f'<text x="{MARGIN - 5}" y="{at + 4:.1f}" text-anchor="end">{y:,.0f}</text>')
    for (x1, y1), (x2, y2) in pairwise(place(*point) for point in points):
        parts.append(f'<path d="M{x1:.1f},{y1:.1f}L{x2:.1f},{y2:.1f}" stroke="#06c" stroke-width="2"/>')
    for x, y in points:
        across, up = place(x, y)
        parts.append(f'<circle cx="{across:.1f}" cy="{up:.1f}" r="3" fill="#06c"/>')
        parts.append(f'<text x="{across:.1f}" y="{up - 7:.1f}" text-anchor="middle">{y:.0f}</text>')
        parts.append(f'<text x="{across:.1f}" y="{HEIGHT - 32}" text-anchor="middle">{x:,.0f}</text>')
    if limit:
        across, up = place(*limit)
        parts.append(f'<path d="M{across - 25:.1f},{up:.1f}h50" stroke="#c00" stroke-width="2"/>')
        parts.append(f'<text x="{across + 30:.1f}" y="{up + 4:.1f}" fill="#c00">limit</text>')
    return "\n".join(parts)
