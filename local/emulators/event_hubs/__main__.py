"""Runs the broker: `python -m local.emulators.event_hubs --port 5673 --data DIR --hub apim-logs:4 --group g`.

The first line on stdout says `listening on 127.0.0.1:PORT`. SIGTERM and SIGINT end it with exit status 0.
If it cannot start, it prints one line on stderr and ends with exit status 1.
"""

import argparse
import asyncio
import fcntl
import logging
import re
import signal
import sys
from pathlib import Path
from typing import NamedTuple

from .broker import HOST, Broker
from .hubs import HubFolderError, open_hub
from .tokens import Key


class HubArgument(NamedTuple):
    """A hub on the command line."""

    name: str
    partition_count: int


def _hub(text: str) -> HubArgument:
    name, _, count = text.rpartition(":")
    # This is the service's own rule for names. It also keeps a hub's folder inside the data folder.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,255}", name) or not count.isdecimal() or not int(count):
        raise argparse.ArgumentTypeError(f"expected NAME:PARTITIONS, for example apim-logs:4, not {text!r}")
    return HubArgument(name, int(count))


def _milliseconds(text: str) -> int:
    match = re.fullmatch(r"(\d+):([0-5]\d):([0-5]\d)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"expected HH:MM:SS, not {text!r}")
    hours, minutes, seconds = map(int, match.groups())
    return ((hours * 60 + minutes) * 60 + seconds) * 1000


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m local.emulators.event_hubs", description="A local stand-in for Event Hubs."
    )
    parser.add_argument(
        "--port", type=int, default=5673, help="the port; 0 chooses a free one (default: 5673)"
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder that keeps the events")
    parser.add_argument(
        "--hub", type=_hub, action="append", required=True, metavar="NAME:PARTITIONS", dest="hubs"
    )
    parser.add_argument(
        "--group", action="append", default=[], dest="groups", help="a consumer group in addition to $Default"
    )
    parser.add_argument("--retention", type=_milliseconds, metavar="HH:MM:SS", help="default: forever")
    parser.add_argument("--key-name", default="RootManageSharedAccessKey")
    parser.add_argument("--key", help="check tokens against this key (default: accept every token)")
    return parser


async def _run(arguments: argparse.Namespace) -> None:
    hubs = [
        open_hub(arguments.data, hub.name, hub.partition_count, arguments.groups, arguments.retention)
        for hub in arguments.hubs
    ]
    broker = Broker(hubs, Key(arguments.key_name, arguments.key) if arguments.key else None)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await broker.serve(arguments.port, stop, lambda port: print(f"listening on {HOST}:{port}", flush=True))


def main() -> int:
    """Runs the broker until a signal arrives; returns the exit status."""
    arguments = _parser().parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        arguments.data.mkdir(parents=True, exist_ok=True)
        # Two brokers would each append to the same files, with the same sequence numbers.
        with (arguments.data / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            asyncio.run(_run(arguments))
    except BlockingIOError:
        print(f"another broker uses {arguments.data}", file=sys.stderr)
        return 1
    except (HubFolderError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
