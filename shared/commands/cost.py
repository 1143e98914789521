"""`cost`: estimates the monthly cost of a deployment with the formulas of docs/sizing.md."""

import argparse
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from shared.audit.audit import OK
from shared.commands import cost_model
from shared.commands.console import say, say_json
from shared.commands.cost_model import Price, Workload
from shared.commands.declaration import command
from shared.commands.documents import CostDocument, CostLine
from shared.errors import SettingError

OPTIONS = {
    "--records-per-day": "R",
    "--records-per-event": "r",
    "--record-bytes": "b",
    "--partitions": "P",
    "--throughput-units": "U",
    "--memory-gb": "M",
    "--files-per-commit": "f",
    "--parquet-bytes": "z",
    "--days": "D",
    "--sampling": "s",
}
"""Maps options to the symbols of the formulas that they set."""
LIMIT = 1e18


def declare(commands: Any) -> None:
    """Adds the command to the command line."""

    def run(options: argparse.Namespace) -> int:
        given = {symbol: getattr(options, symbol) for symbol in OPTIONS.values()}
        return cost(Workload(**given), read(options.prices), as_json=options.json)

    parser = command(
        commands,
        "cost",
        run,
        "Estimates the monthly cost of a deployment, line by line. Needs neither settings nor Azure.",
        "Amounts marked 'at most' are upper bounds. Prices are examples: provide those of your region.\n"
        "Exit status: 0 computed, 2 the command failed.",
        "  python -m shared cost --records-per-day 86400 --partitions 2\n"
        "  python -m shared cost --records-per-day 10000000 --prices mine.json --json",
    )
    meanings = {one.name: one for one in Workload.__dataclass_fields__.values()}
    for option, symbol in OPTIONS.items():
        default = meanings[symbol].default
        parser.add_argument(
            option,
            dest=symbol,
            metavar="NUMBER",
            type=number,
            default=default,
            help=f"{meanings[symbol].metadata['meaning']} (default {default:g})",
        )
    parser.add_argument("--prices", type=Path, help="a file in the format of shared/commands/prices.json")
    parser.add_argument("--json", action="store_true", help="print JSON")


def number(text: str) -> float:
    """Parses a number of at least 0."""
    try:
        found = float(text)
    except ValueError:
        found = -1
    if not 0 <= found < LIMIT:
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, got {text!r}")
    return found


def read(path: Path | None) -> dict[str, Price]:
    """Loads the prices from this file, or the example prices. Raises SettingError."""
    data = path.read_bytes() if path else files("shared.commands").joinpath("prices.json").read_bytes()
    try:
        return cost_model.prices(data)
    except ValueError as error:
        raise SettingError(f"{path}: {error}") from None


def cost(load: Workload, prices: dict[str, Price], *, as_json: bool) -> int:
    """Prints the lines, their sum, and the cost of Azure's built-in destinations."""
    if not load.r:
        raise SettingError("--records-per-event must be above 0")
    lines, total, others = (
        cost_model.lines(load, prices),
        cost_model.total(load, prices),
        cost_model.others(load, prices),
    )
    if as_json:
        say_json(CostDocument(lines=[CostLine(**asdict(one)) for one in lines], total=total, others=others))
        return OK
    width = max(len(line.name) for line in lines)
    for line in lines:
        say(f"{line.name:{width}} {line.amount:>13,.1f} {line.price.label:>19} {line.cost:>8,.2f}")
    say(f"{'total, USD a month':{width}} {'':13} {'':19} {total:>8,.2f}")
    say("Azure's built-in destinations for the same records, which have no durations and")
    say("do not deliver exactly once:")
    for name, amount in others.items():
        say(f"  {name}: {amount:,.2f}")
    return OK
