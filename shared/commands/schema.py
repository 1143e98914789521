"""`schema`: prints the exported tables' schema, or the definitions a reader needs to load them."""

import argparse
from typing import Any

from shared.commands import console
from shared.commands.base import command
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.ddl import DIALECTS
from shared.tables.registry import TABLES
from shared.tables.websocket_connection_logs import RECORDS


def declare(commands: Any) -> None:
    """Adds it to the command line."""

    def run(options: argparse.Namespace) -> int:
        short = {"records": [RECORDS], "connections": [CONNECTIONS], "both": [RECORDS, CONNECTIONS]}
        for table in short.get(options.table) or [TABLES[options.table]]:
            render, location = DIALECTS[options.dialect]
            console.say(render(table, options.location or location))
        return 0

    parser = command(
        commands,
        "schema",
        run,
        "Prints the exported tables: their columns, or the definitions that a reader needs.",
        "",
        "  python -m shared schema\n  python -m shared schema duckdb --location /data\n"
        "  python -m shared schema json-schema --table connections",
    )
    parser.add_argument(
        "dialect", nargs="?", default="text", choices=[*DIALECTS], help="the language (default: text)"
    )
    parser.add_argument(
        "--table",
        choices=["records", "connections", "both", *TABLES],
        default="records",
        metavar="TABLE",
        help=f"records, connections, both, or a table's name: {', '.join(TABLES)} (default: records)",
    )
    parser.add_argument("--location", help="the container: a folder or an address")
