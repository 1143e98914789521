"""The operator's command line: `python -m shared <command>`; each command reads the app's own settings."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence

from shared import __version__
from shared.commands import adopt, audit, capture, console, replay, report, schema, status
from shared.errors import ExporterError

COMMANDS = (status, audit, replay, adopt, report, capture, schema)
FAILED, STOPPED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; its exit status."""
    options = _parser().parse_args(arguments)
    # What the services' libraries warn of comes as an error of one line.
    logging.getLogger("azure").addHandler(logging.NullHandler())
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        return command(options)
    except ExporterError as error:
        console.progressed()
        sys.stderr.write(f"error: {error}\n")
        return FAILED
    except KeyboardInterrupt:
        return STOPPED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m shared",
        description="Looks after an exporter of API Management WebSocket connection logs.",
        epilog="examples:\n  python -m shared status\n  python -m shared audit --since 30d\n"
        "  python -m shared replay --help\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.declare(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
