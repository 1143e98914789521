"""`make fuzz`: plans commits of hostile bodies on every core and accounts for each body."""

import argparse
import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from tests.campaigns.fuzz.hunt import fuzz


def main() -> int:
    """Ends with a minimal failure, or with the number of bodies."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--bodies", type=int, default=1_000_000, help="at least so many")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="by default another one each time")
    options = parser.parse_args()
    sys.stdout.write(f"seed {options.seed}\n")
    done, began, turn = 0, time.monotonic(), 0
    cores = os.cpu_count() or 1
    with ProcessPoolExecutor(cores, mp_context=multiprocessing.get_context("spawn")) as pool:
        while done < options.bodies:
            seeds = range(options.seed + turn * 2 * cores, options.seed + (turn + 1) * 2 * cores)
            done, turn = done + sum(pool.map(fuzz, seeds)), turn + 1
            sys.stdout.write(f"{time.monotonic() - began:6.0f} s  {done} bodies\n")
            sys.stdout.flush()
    sys.stdout.write(f"fuzz: {done} bodies, all accounted for\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
