"""A planner that some messages break, each in another way; all others it plans as the program does."""

import os
import signal
import time
from collections.abc import Sequence

from shared import plan
from shared.durations.connections import Starts
from shared.envelope import Envelope, Source
from shared.incarnation import Incarnation
from shared.ledger import Ledger
from shared.plan import Plan, Stamp
from shared.rules import Rules

LOOPS, GROWS, RAISES, DIES, EXITS, SLEEPS, REPEATS = (
    b"it loops",
    b"it grows",
    b"it raises",
    b"it dies",
    b"it exits",
    b"it sleeps",
    b"it repeats",
)


def make(
    source: Source, envelopes: Sequence[Envelope], ledger: Ledger, known: Starts, rules: Rules, stamp: Stamp
) -> Plan | None:
    """As plan.make, but for messages that break it."""
    for envelope in envelopes:
        match envelope.body:
            case b"it loops":
                while True:
                    pass
            case b"it grows":
                held = []
                while True:
                    held.append(bytearray(1 << 24))
            case b"it raises":
                raise ZeroDivisionError("of this message")
            case b"it dies":
                os.kill(os.getpid(), signal.SIGKILL)
            case b"it exits":
                os._exit(3)
            case b"it sleeps":
                time.sleep(600)
            case b"it repeats":
                ledger = ledger.model_copy(update={"incarnation": Incarnation()})
    return plan.make(source, envelopes, ledger, known, rules, stamp)
