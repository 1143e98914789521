"""`make faults`: tries to break exactly-once delivery in the simulation and on the real stack."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.campaigns.faults.campaign import Outcome, campaign, traffic
from tests.campaigns.faults.schedules import schedules
from tests.campaigns.faults.stack import FaultyStack

SHORT, LONG = (3000, 30, 2000), (10_000, 200, 12_000)
"""The number of schedules, of kills, and of connections."""
FIRST = 1000
"""The first seed; the tests use the lower ones."""
EXIT_WRONG = 1
BEGAN = time.monotonic()


def main() -> int:
    """Runs both campaigns and prints their outcome in the last line."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--long", action="store_true", help="10,000 schedules and 200 kills")
    parser.add_argument("--seed", type=int, default=FIRST, help="the first one: other seeds, other schedules")
    parser.add_argument("--schedules", type=int, help="so many instead")
    parser.add_argument("--kills", type=int, help="so many instead")
    parser.add_argument("--only", default="", help="inject only these faults, separated by commas")
    options = parser.parse_args()
    number, kills, connections = LONG if options.long else SHORT
    number = number if options.schedules is None else options.schedules
    kills = kills if options.kills is None else options.kills

    failures = simulated(options.seed, number)
    outcome = on_the_stack(
        options.seed, kills, connections, [part for part in options.only.split(",") if part]
    )
    found, counts = outcome.found, outcome.counts
    after = outcome.aftermath.values()
    for text in (
        *failures[:1],
        *found.examples,
        *outcome.delta.examples,
        *outcome.broken[:5],
        outcome.audit,
        *(example for records in after for example in records.examples),
    ):
        if text:
            say(text)
    say(
        f"{outcome.swaps} compaction swaps; readers looked at {outcome.versions} versions of the Delta "
        f"table: {outcome.delta.lost} rows lost, {outcome.delta.duplicated} duplicated, "
        f"{len(outcome.broken)} violations"
    )
    for name, records in outcome.aftermath.items():
        say(f"{name}: {records.expected} rows, {records.lost} lost, {records.duplicated} duplicated")
    lost = found.lost + counts.lost + sum(records.lost for records in after)
    duplicated = found.duplicated + sum(records.duplicated for records in after)
    say(
        f"faults: {number} schedules, {outcome.kills} kills, {counts.records} records, "
        f"{lost} lost, {duplicated} duplicated"
    )
    return EXIT_WRONG if failures or not outcome.exact else 0


def simulated(first: int, number: int) -> list[str]:
    """Returns the failures among this number of schedules."""
    tried, failures, printed = 0, list[str](), 0.0
    for more, failed in schedules(first, number):
        tried += more
        failures += failed
        if time.monotonic() - printed > 10 or tried == number:
            printed = time.monotonic()
            progress(f"{tried} of {number} schedules, {len(failures)} violate an invariant")
    return failures


def on_the_stack(seed: int, kills: int, connections: int, only: list[str]) -> Outcome:
    """Sends traffic while it kills processes, stops storage and cuts connections."""
    folder = Path(tempfile.mkdtemp(prefix="websocket-logs-faults-"))
    try:
        with FaultyStack(folder, seed) as stack:
            one = traffic(seed, connections)
            progress(f"{one.truth.records.num_rows} records in {len(one.sends)} envelopes")
            # Faults happen while traffic is sent, and a kill takes a few seconds.
            rate = len(one.sends) / (4 * kills + 1)
            outcome = campaign(
                stack, one, kills, progress, rate=rate, twice=True, only=only, aftermath=not only
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    progress(", ".join(f"{what}: {times}" for what, times in sorted(outcome.done.items())))
    return outcome


def progress(text: str) -> None:
    """Prints a line with the elapsed time."""
    say(f"{time.monotonic() - BEGAN:6.0f} s  {text}")


def say(text: str) -> None:
    """Prints a line and flushes it."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
