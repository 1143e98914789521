"""The command line for operators: `python -m shared COMMAND`, installed as `apim-ws-logs`."""

import argparse
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from shared import __version__

COMMANDS = (
    "status",
    "audit",
    "reconcile",
    "replay",
    "redeliver",
    "accept-ledger",
    "reset-checkpoint",
    "finish",
    "compact",
    "erase",
    "delta",
    "report",
    "capture",
    "schema",
    "convert",
    "backfill",
    "cost",
    "completion",
)
"""A command is a module of `shared.commands`; only the module of the command that runs is imported."""
INSTALLED = "apim-ws-logs"
"""The name of the installed command."""
FAILED, INTERRUPTED, PIPE_CLOSED = 2, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit status.

    0: success; 1: the command found a problem; 2: the command could not run; 130: interrupted; 141: the
    reader of the output closed it.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if [*arguments] == ["--version"]:
        sys.stdout.write(f"{_program()} {__version__}\n")
        return 0
    known = arguments[:1] if arguments and arguments[0] in COMMANDS else COMMANDS
    made = parser(known)
    options, unknown = made.parse_known_args(arguments)
    if unknown:
        made.prog = f"{made.prog} {known[0]}" if len(known) == 1 else made.prog
        made.error(f"unrecognized arguments: {' '.join(unknown)}")
    return _run(options)


class Parser(argparse.ArgumentParser):
    """Reports a wrong argument on one line, without the usage, and suggests a similar choice."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        similar = get_close_matches(str(value), map(str, action.choices or ()), 1)
        if similar and value not in (action.choices or ()):
            raise argparse.ArgumentError(action, f"invalid choice: {value!r}; did you mean {similar[0]}?")
        super()._check_value(action, value)

    def error(self, message: str) -> NoReturn:
        """Exits with status 2."""
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def parser(commands: Sequence[str] = COMMANDS, program: str = "") -> argparse.ArgumentParser:
    """Builds the argument parser for these commands. `program`: the name to show (default: as called)."""
    made = Parser(
        prog=program or _program(),
        allow_abbrev=False,
        description="Inspects and repairs an exporter of API Management WebSocket connection logs.",
        epilog="examples:\n  python -m shared status\n  python -m shared audit --since 30d\n"
        "  python -m shared replay --help\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    found = made.add_subparsers(required=True, metavar="COMMAND")
    for name in commands:
        import_module(f"shared.commands.{name.replace('-', '_')}").declare(found)
    return made


def _run(options: argparse.Namespace) -> int:
    from shared.commands import console  # noqa: PLC0415 - so that --version needs nothing else
    from shared.errors import ExporterError  # noqa: PLC0415

    console.log_to_stderr(verbose=getattr(options, "verbose", False))
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except ExporterError as error:
        return console.failed(str(error))
    except BrokenPipeError:
        # Python flushes standard output again on exit, which would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except OSError as error:
        return console.failed(f"{error.filename or 'the system'}: {error.strerror or error}")
    except KeyboardInterrupt:
        console.progressed()
        return INTERRUPTED
    return status


def _program() -> str:
    name = Path(sys.argv[0]).name
    return name if name == INSTALLED else "python -m shared"


if __name__ == "__main__":
    sys.exit(main())
