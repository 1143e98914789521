"""`make load`: runs two million records through the local stack, kills processes, and audits the output."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.campaigns.faults.campaign import campaign, traffic
from tests.campaigns.faults.stack import FaultyStack

RECORDS_PER_CONNECTION = 5.7
"""Approximate: about five records a connection, bad records, and records of other categories."""
EXIT_WRONG = 1


def main() -> int:
    """Runs the load and prints the outcome in the last line."""
    parser = argparse.ArgumentParser(prog="make load", description=__doc__)
    parser.add_argument("--records", type=int, default=2_000_000, help="to send, about")
    parser.add_argument("--kills", type=int, default=20, help="of hosts and workers, while it runs")
    parser.add_argument("--seed", type=int, default=1, help="of the traffic and of what goes wrong")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="websocket-logs-load-"))
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)

    try:
        with FaultyStack(folder, options.seed) as stack:
            one = traffic(options.seed, int(options.records / RECORDS_PER_CONNECTION))
            say(f"{one.truth.records.num_rows} records in {len(one.sends)} envelopes")
            outcome = campaign(stack, one, options.kills, say, observe=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    say(", ".join(f"{what}: {number}" for what, number in sorted(outcome.done.items())))
    for example in (*outcome.found.examples, *outcome.delta.examples, outcome.audit):
        if example:
            print(example)
    counts = outcome.counts
    print(
        f"load: {counts.records} records in {outcome.seconds:.0f} s "
        f"({counts.records / outcome.seconds:.0f} records/s), {outcome.kills} kills, {counts.rows} rows, "
        f"{outcome.found.lost} lost, {outcome.found.duplicated} duplicated, "
        f"{outcome.swaps} compaction swaps, audit {'refuted' if outcome.audit else 'proven'}",
        flush=True,
    )
    return 0 if outcome.exact else EXIT_WRONG


if __name__ == "__main__":
    sys.exit(main())
