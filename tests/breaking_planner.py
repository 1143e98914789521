"""A planner that certain messages break, each in a different way; it plans all others like the program."""

import os
import signal
import time
from collections.abc import Sequence

from shared.connections.observations import StartTimeLookup
from shared.export import plan
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.policies import ExportPolicy
from shared.protocol.commit_plan import CommitPlan
from shared.protocol.incarnation import Incarnation
from shared.protocol.ledger import Ledger
from shared.protocol.stamp import Stamp

LOOPS, GROWS, RAISES, DIES, EXITS, SLEEPS, LINGERS, REPEATS = (
    b"it loops",
    b"it grows",
    b"it raises",
    b"it dies",
    b"it exits",
    b"it sleeps",
    b"it lingers",
    b"it repeats",
)


def make(
    partition: HubPartition,
    envelopes: Sequence[Envelope],
    ledger: Ledger,
    known: StartTimeLookup,
    policy: ExportPolicy,
    stamp: Stamp,
) -> CommitPlan | None:
    """Like plan.plan_commit, except for the messages that break it."""
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
            case b"it lingers":
                time.sleep(1.2)
            case b"it repeats":
                ledger = ledger.model_copy(update={"incarnation": Incarnation()})
    return plan.plan_commit(partition, envelopes, ledger, known, policy, stamp)
