"""`schema`: prints the exported tables' schema, or the definitions a reader needs to load them."""

import argparse
from typing import Any

from shared.commands import console
from shared.commands.base import command
from shared.tables.ddl import DIALECTS
from shared.tables.schema import CONNECTIONS, RECORDS


def declare(commands: Any) -> None:
    """Adds it to the command line."""

    def run(options: argparse.Namespace) -> int:
        for table in {"records": [RECORDS], "connections": [CONNECTIONS], "both": [RECORDS, CONNECTIONS]}[
            options.table
        ]:
            render, location = DIALECTS[options.dialect]
            console.say(render(table, options.location or location))
        return 0

    parser = command(
        commands,
        "schema",
        run,
        "Prints the exported tables: their columns, or what makes a reader know them.",
        "",
        "  python -m shared schema\n  python -m shared schema duckdb --location /data\n"
        "  python -m shared schema json-schema --table connections",
    )
    parser.add_argument(
        "dialect", nargs="?", default="text", choices=[*DIALECTS], help="the language (default: text)"
    )
    parser.add_argument(
        "--table", choices=["records", "connections", "both"], default="records", help="default: records"
    )
    parser.add_argument("--location", help="the container: a folder or an address")
