"""`completion`: prints a script that completes commands and options in a shell."""

import argparse
from typing import Any

from shared.commands import console
from shared.commands.declaration import command
from shared.errors import SettingError


def declare(commands: Any) -> None:
    """Adds the command to the command line."""

    def run(options: argparse.Namespace) -> int:
        try:
            import shtab  # noqa: PLC0415 - an optional package
        except ModuleNotFoundError:
            raise SettingError(
                "completion needs the package shtab: pip install shtab, or install '.[completion]'"
            ) from None
        from shared.__main__ import INSTALLED, parser  # noqa: PLC0415 - the parser declares this command

        console.say(shtab.complete(parser(program=INSTALLED), options.shell))
        return 0

    declared = command(
        commands,
        "completion",
        run,
        "Prints a script that completes commands and options in your shell.",
        "It completes the installed command `apim-ws-logs`. Needs the package shtab.\n",
        "  python -m shared completion bash\n  python -m shared completion zsh",
    )
    declared.add_argument("shell", choices=["bash", "zsh", "tcsh"], help="your shell")
