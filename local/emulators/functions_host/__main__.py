"""Runs a function app folder: `python -m local.emulators.functions_host --app DIR`."""

import argparse
import logging
import os
import sys
from pathlib import Path

from local.emulators.functions_host.configuration import AppError, environment
from local.emulators.functions_host.host import HostProfile, serve
from local.emulators.functions_host.status import Status


def main() -> int:
    """Reads the command line and serves; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local.emulators.functions_host", description=__doc__)
    parser.add_argument(
        "--app", type=Path, required=True, help="the folder with function_app.py and host.json"
    )
    parser.add_argument("--settings", type=Path, help="a local.settings.json; the environment overrides it")
    parser.add_argument("--name", default="host", help="names this host in its status lines")
    parser.add_argument(
        "--grace", type=float, default=10, help="seconds that a stop waits for invocations in flight"
    )
    parser.add_argument(
        "--time-scale",
        type=float,
        default=1,
        help="factor for the delays of retries and of worker restarts (default: 1, as in the real host)",
    )
    parser.add_argument(
        "--stop-at-end-of-input",
        action="store_true",
        help="stop when standard input closes, so that no host outlives its driver",
    )
    arguments = parser.parse_args()
    logging.basicConfig(
        level=logging.WARNING, format=f"%(asctime)s {arguments.name} %(levelname)s %(message)s"
    )
    try:
        settings = environment(os.environ, arguments.settings)
    except AppError as error:
        parser.error(str(error))
    profile = HostProfile(
        arguments.app.resolve(),
        settings,
        arguments.grace,
        arguments.stop_at_end_of_input,
        arguments.time_scale,
    )
    return serve(profile, Status(arguments.name))


if __name__ == "__main__":
    sys.exit(main())
