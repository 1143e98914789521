"""Finds the blocks of code in the documentation, and those that are marked as not exercised."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("samples/*.md"), *(ROOT / "docs").rglob("*.md")])
MARK = "not exercised"


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block."""

    page: str
    line: int
    language: str
    """Empty for a diagram or for output."""
    about: str
    """The text since the previous block or heading."""
    code: str
    exercised: bool
    """Whether neither its page, nor its section, nor the text before it says that it is not exercised."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block, without comments."""
        joined = self.code.replace("\\\n", " ")
        lines = (re.sub(r"(^|\s)#.*", "", line).removeprefix("$ ").strip() for line in joined.splitlines())
        return [line for line in lines if line]


def blocks(*languages: str) -> list[Block]:
    """Returns the blocks of all pages in these languages; all blocks if none is given."""
    return [one for page in PAGES for one in read(page) if not languages or one.language in languages]


def read(page: Path) -> Iterator[Block]:
    """Returns the blocks of one page."""
    text = page.read_text()
    start = re.split(r"^## |^```", text, maxsplit=1, flags=re.MULTILINE)[0]
    whole = MARK not in start.lower()
    section, about = "", ""
    code: list[str] | None = None
    language, began = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        fence = re.match(r"```(\w*)$", line)
        if code is None and fence:
            language, began, code = fence[1], number, []
        elif code is None:
            if line.startswith("#"):
                section, about = "", ""
            section += f"{line}\n"
            about += f"{line}\n"
        elif fence:
            exercised = whole and MARK not in section.lower()
            name = str(page.relative_to(ROOT)) if page.is_relative_to(ROOT) else page.name
            yield Block(name, began, language, about.strip(), "\n".join(code), exercised)
            code, about = None, ""
        else:
            code.append(line)
    assert code is None, f"{page}: a block does not end"
