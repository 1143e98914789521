import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = ("requirements.txt", "requirements-report.txt", "requirements-dev.txt")


def required(file: str) -> list[str]:
    lines = (line.partition("#")[0].strip() for line in (ROOT / file).read_text().splitlines())
    return [line for line in lines if line and not line.startswith("-r ")]


def test_every_requirement_is_pinned_to_one_version() -> None:
    for line in [line for file in FILES for line in required(file)]:
        assert re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line), line


def test_the_documentation_says_what_every_requirement_is_for() -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text()
    for file, part in zip(FILES, re.split("^## ", text, flags=re.MULTILINE)[1:], strict=True):
        assert part.startswith(f"{file}:")
        documented = re.findall(r"^\| ([a-z][a-z0-9-]+) \| .+ \|$", part, re.MULTILINE)
        assert sorted(documented) == sorted(
            ["package", *(line.partition("==")[0] for line in required(file))]
        )
