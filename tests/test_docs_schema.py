"""docs/schema.md has every table as declared; `python -m tests.test_docs_schema` rewrites it."""

import sys

from shared.tables.dialects import markdown
from shared.tables.registry import TABLES
from shared.tables.table import VERSION
from tests.documents import ROOT

DOCUMENT = ROOT / "docs" / "schema.md"
BEGIN = "The schema version is "


def tables() -> str:
    sections = (markdown(table, "") for table in TABLES.values())
    return "\n\n".join([f"{BEGIN}{VERSION}.", *sections]) + "\n"


def test_the_page_has_every_declared_table() -> None:
    assert DOCUMENT.read_text().endswith(tables())


if __name__ == "__main__":
    before, _, _ = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(before + tables())
    sys.exit(0)
