"""Generates traffic dated now and sends it to a hub or to files: `python -m local.traffic --help`."""

import argparse
import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local.traffic.generate import Traffic, generate
from local.traffic.send import next_sequences, producer, send
from shared.wording import counted


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m local.traffic", description="Generates synthetic diagnostic traffic."
    )
    parser.add_argument(
        "--connection-string", help="connection string of the Event Hubs namespace to send to; needs --hub"
    )
    parser.add_argument("--hub", help="the Event Hub to send to")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write one file per envelope to this folder instead"
    )
    parser.add_argument(
        "--truth", type=Path, metavar="FILE", help="write the expected result to this file (Arrow)"
    )
    parser.add_argument("--connections", type=int, default=2000, help="number of connections (default: 2000)")
    parser.add_argument(
        "--hours", type=float, default=6, help="hours before now over which they are spread (default: 6)"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of all random choices (default: 1)")
    parser.add_argument("--bad", type=float, default=0.01, help="bad records per good one (default: 0.01)")
    parser.add_argument(
        "--foreign", type=float, default=0.2, help="records of other categories per record (default: 0.2)"
    )
    parser.add_argument("--rate", type=float, help="envelopes per second (default: as fast as possible)")
    arguments = parser.parse_args()
    if bool(arguments.out) == bool(arguments.connection_string and arguments.hub):
        parser.error("either --connection-string with --hub, or --out")
    return arguments


def _traffic(
    arguments: argparse.Namespace, partitions: list[str], first_sequences: dict[str, int]
) -> Traffic:
    now = datetime.now(UTC)
    start = now - timedelta(hours=arguments.hours)
    traffic = generate(
        arguments.seed,
        arguments.connections,
        start,
        now,
        partitions=partitions,
        bad=arguments.bad,
        foreign=arguments.foreign,
    )
    traffic = replace(traffic, truth=replace(traffic.truth, first_sequences=first_sequences))
    # Written before anything is sent, so that an interrupted run can be examined.
    if arguments.truth:
        traffic.truth.save(arguments.truth)
    print(f"{counted(len(traffic.sends), 'envelope')}: {traffic.truth.outcomes}")
    return traffic


async def _to_hub(arguments: argparse.Namespace) -> None:
    async with producer(arguments.connection_string, arguments.hub) as client:
        first_sequences = await next_sequences(client)
        traffic = _traffic(arguments, list(first_sequences), first_sequences)
        await send(traffic.sends, client, rate=arguments.rate, progress=lambda sent: print(f"sent {sent}"))


def _to_files(arguments: argparse.Namespace) -> None:
    arguments.out.mkdir(parents=True, exist_ok=True)
    positions: Counter[str] = Counter()
    for partition, body in _traffic(arguments, ["0", "1", "2", "3"], {}).sends:
        (arguments.out / f"{partition}-{positions[partition]:08}").write_bytes(body)
        positions[partition] += 1


if __name__ == "__main__":
    parsed = _arguments()
    if parsed.out:
        _to_files(parsed)
    else:
        asyncio.run(_to_hub(parsed))
