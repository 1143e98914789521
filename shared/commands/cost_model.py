"""Computes the monthly cost of a deployment with formulas that docs/sizing.md shows. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import orjson


@dataclass(frozen=True, slots=True)
class Workload:
    """The input. The field names are the symbols of the formulas."""

    R: float = field(default=10_000_000, metadata={"meaning": "records a day"})
    r: float = field(
        default=20,
        metadata={"meaning": "records in an event (from your metrics: `records` / `envelopes`)"},
    )
    b: float = field(
        default=600, metadata={"meaning": "bytes of a record in the hub (`bytes.in` / `records`)"}
    )
    P: float = field(default=4, metadata={"meaning": "partitions"})
    U: float = field(default=1, metadata={"meaning": "throughput units"})
    M: float = field(default=2, metadata={"meaning": "memory of an instance, GB"})
    t: float = field(
        default=1,
        metadata={"meaning": "seconds of an invocation, at least 1: shorter ones are charged as one"},
    )
    f: float = field(
        default=1, metadata={"meaning": "files of a commit: formats times hours in it, and dead letters"}
    )
    d: float = field(default=0.05, metadata={"meaning": "seconds of a storage call, for compaction"})
    z: float = field(default=90, metadata={"meaning": "bytes of a record in Parquet (`bytes.out` / `rows`)"})
    D: float = field(default=365, metadata={"meaning": "days that files are kept"})
    s: float = field(
        default=1,
        metadata={"meaning": "share of the host's request rows that is kept (`OTEL_TRACES_SAMPLER`)"},
    )


DERIVED = {
    "E": ("events a month", "R * 30.4 / r"),
    "N": ("commits a month, at most", "min(E, max(87600 * P, E / 64))"),
    "F": ("files that are compacted a month, at most", "N * f + min(N, 87600)"),
    "C": ("seconds of `compact_logs` a month, at most", "4380 * t + R * 30.4 * 13 / 1e6 + 2 * F * d / 8"),
}
"""Meaning and formula of each symbol. A formula may use the symbols before it."""
LINES = {
    "export by API Management, GB": ("R * 30.4 * b / 1e9", "log export"),
    "throughput units": ("730 * U", "throughput unit"),
    "ingress, an event for each 64 KB": ("E", "ingress"),
    "execution, GB-seconds, at most": ("((N + 43800) * t + C) * M", "execution"),
    "executions": ("N + 43800 + 4380", "executions"),
    "writes and lists, at most": (
        "N * (2 * f + 4) + 43800 * 11 + 4380 * 8 + 1460 * 6 + R * 30.4 / 1e5 + 87600 * 2 * P",
        "write",
    ),
    "reads, at most": ("N * 2 * P + 43800 * 3 * (P + 1) + F + 4380 + 1460 * (P + 1)", "read"),
    "stored, GB, after `D` days, at most": ("R * z * (D + 14) / 1e9", "stored"),
    "telemetry of the app, GB": (
        "(((4 * P + 12) * 43800 + min(N, 43800 * P) * 20 + 18980) * 0.7 + (N + 48180) * 4) / 1e6",
        "logs",
    ),
    "request rows of the host, GB, at most": ("E * s * 0.7 / 1e6", "logs"),
    "log alert rules": ("4", "log alert"),
    "metric alerts": ("3", "metric alert"),
}
"""The billed items: the formula of the amount, and the name of the price."""
OTHERS = {
    "diagnostic setting to Log Analytics": {"logs": "R * 30.4 * b / 1e9"},
    "diagnostic setting to a storage account": {
        "log export": "R * 30.4 * b / 1e9",
        "stored": "R * b * D / 1e9",
    },
    "Event Hubs Capture": {
        "log export": "R * 30.4 * b / 1e9",
        "throughput unit": "730 * U",
        "ingress": "E",
        "capture": "730 * U",
        "stored": "R * b * D / 1e9",
    },
}
"""The billed items of Azure's built-in destinations for the same logs."""


@dataclass(frozen=True, slots=True)
class Price:
    """A price for a number of units."""

    price: float
    per: float
    unit: str
    source: str

    @property
    def label(self) -> str:
        """Formats the price like `0.4 for 1,000,000`."""
        return f"{self.price:.6f}".rstrip("0").rstrip(".") + f" for {self.per:,.0f}"

    def of(self, amount: float) -> float:
        """Returns the cost of an amount, to the cent."""
        return round(amount * self.price / self.per, 2)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table."""

    name: str
    formula: str
    amount: float
    price: Price
    cost: float


def prices(data: bytes) -> dict[str, Price]:
    """Loads prices from a file such as prices.json. Raises ValueError."""
    try:
        found = {name: Price(**one) for name, one in orjson.loads(data)["prices"].items()}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"expected a file in the format of shared/commands/prices.json: {error}") from error
    missing = {price for _, price in LINES.values()} - set(found)
    if missing:
        raise ValueError(f"no price for {', '.join(sorted(missing))}")
    return found


def values(load: Workload) -> dict[str, float]:
    """Returns the values of all symbols, including derived ones."""
    found = {one.name: float(getattr(load, one.name)) for one in fields(load)}
    for name, (_, formula) in DERIVED.items():
        found[name] = evaluate(formula, found)
    return found


def evaluate(formula: str, symbols: Mapping[str, float]) -> float:
    """Evaluates one of the formulas above."""
    names = {"__builtins__": {}, "max": max, "min": min}
    return float(eval(formula, names, dict(symbols)))  # noqa: S307 - a constant of this module


def lines(load: Workload, prices_: Mapping[str, Price]) -> list[Line]:
    """Returns the monthly cost, line by line."""
    symbols = values(load)
    found = []
    for name, (formula, price) in LINES.items():
        amount = evaluate(formula, symbols)
        found.append(Line(name, formula, amount, prices_[price], prices_[price].of(amount)))
    return found


def total(load: Workload, prices_: Mapping[str, Price]) -> float:
    """Returns the sum of these lines."""
    return round(sum(line.cost for line in lines(load, prices_)), 2)


def others(load: Workload, prices_: Mapping[str, Price]) -> dict[str, float]:
    """Returns the monthly cost of Azure's built-in destinations."""
    symbols = values(load)
    return {
        name: round(sum(prices_[price].of(evaluate(formula, symbols)) for price, formula in parts.items()), 2)
        for name, parts in OTHERS.items()
    }
