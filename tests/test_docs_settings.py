"""docs/settings.md has every setting as declared; `python -m tests.test_docs_settings` rewrites it."""

import sys
from pathlib import Path
from typing import Any

from shared.settings import Settings
from shared.settings.explanations import written

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
BEGIN = "| setting | default | meaning |"


def shown(value: Any) -> str:
    return f"`{written(value)}`" if value != "" else "none"


def table() -> str:
    lines = [BEGIN, "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = "**required**" if field.is_required() else shown(field.default)
        lines.append(f"| `{name}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


def test_the_page_has_every_declared_setting() -> None:
    assert DOCUMENT.read_text().endswith(table())


if __name__ == "__main__":
    before, _, _ = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(before + table())
    sys.exit(0)
