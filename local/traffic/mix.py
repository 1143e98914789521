"""Defines the proportions of each kind of envelope, record and timestamp in generated traffic."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from local.traffic import bodies, records, times


def _shares(first: str, names: Iterable[str], share: float) -> dict[str, float]:
    return {first: 1.0} | {name: share for name in names if name != first}


@dataclass(frozen=True, slots=True)
class Mix:
    """The share of each form; the first one of a group takes the remaining share.

    From 1,000 envelopes on, every form with a share above 0 occurs. `containers` includes `documented`.
    """

    containers: Mapping[str, float] = field(
        default_factory=lambda: _shares("documented", bodies.CONTAINERS, 0.04)
    )
    encodings: Mapping[str, float] = field(default_factory=lambda: _shares("plain", bodies.ENCODINGS, 0.03))
    forms: Mapping[str, float] = field(default_factory=lambda: _shares("standard", records.FORMS, 0.03))
    foreign: Mapping[str, float] = field(
        default_factory=lambda: {
            "connection_request": 1.0,
            "other_request": 0.3,
            "gateway_table": 0.03,
            "language_model": 0.05,
            "audit_log": 0.05,
        }
    )
    times: Mapping[str, float] = field(default_factory=lambda: _shares("seven_digits", times.WAYS, 0.01))
    empty: float = 0.01
    """Envelopes without records, for each envelope with records."""
    single: float = 0.3
    """Envelopes with one record."""
    large: float = 0.1
    """Envelopes with 11 to 50 records; the others have 2 to 10."""
