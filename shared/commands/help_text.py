"""Wraps the help of commands to the width of the terminal."""

import argparse
import textwrap
from collections.abc import Iterator


class HelpFormatter(argparse.HelpFormatter):
    """Wraps sentences, and continues commands in examples on indented lines."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:  # noqa: ARG002 - always empty here
        return "\n".join(
            _continued(block, width) if block.startswith(" ") else textwrap.fill(block, width)
            for block in _blocks(text)
        )


def _continued(command: str, width: int) -> str:
    """Breaks a command before an argument, with a backslash at the end of the line."""
    lines = textwrap.wrap(
        command, width - 2, subsequent_indent=" " * 6, break_long_words=False, break_on_hyphens=False
    )
    return " \\\n".join(lines)


def _blocks(text: str) -> Iterator[str]:
    """Joins lines up to the one that ends a sentence; blank and indented lines stay separate."""
    block = ""
    for line in text.strip().splitlines():
        alone = not line or line.startswith(" ")
        if block and (alone or block.endswith((".", ":"))):
            yield block
            block = ""
        if alone:
            yield line
        else:
            block = f"{block} {line}".lstrip()
    if block:
        yield block
