"""Ledgers of a hub that is deleted and created again."""

from shared.input.envelope import Envelope
from shared.protocol.incarnation import NEVER
from shared.protocol.ledger import Ledger
from shared.protocol.selection import advance, select
from shared.timeunits import SECOND

CREATED = 1000 * SECOND
"""When the new hub was created."""


def envelopes(first: int, last: int, seconds: float) -> list[Envelope]:
    return [Envelope(n, int(seconds * SECOND), b"") for n in range(first, last + 1)]


def committed(ledger: Ledger, batch: list[Envelope], now: int = NEVER) -> Ledger:
    while selection := select(ledger, batch):
        ledger = advance(selection.ledger, selection.verdict, selection.envelopes, now)
    return ledger
