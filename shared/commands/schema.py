"""`schema`: prints the schemas of exported tables, or the definitions that a reader needs."""

import argparse
from typing import Any

from shared.commands import console
from shared.commands.declaration import command
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.dialects import DIALECTS, JOINS
from shared.tables.registry import TABLES
from shared.tables.websocket_connection_logs import RECORDS

SHORT = {
    "records": (RECORDS,),
    "connections": (CONNECTIONS,),
    "both": (RECORDS, CONNECTIONS),
    "requests": (CONNECTIONS, *(table for table in TABLES.values() if table.join)),
    "all": tuple(TABLES.values()),
}
"""Short names of tables, and of sets of tables."""


def declare(commands: Any) -> None:
    """Adds the command to the command line."""

    def run(options: argparse.Namespace) -> int:
        render, location = DIALECTS[options.dialect]
        tables = SHORT.get(options.table) or (TABLES[options.table],)
        for table in tables:
            console.say(render(table, options.location or location))
        for table in tables:
            if table.join and table.join.left in tables and options.dialect in JOINS:
                console.say(JOINS[options.dialect](table, table.join))
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
        "dialect",
        nargs="?",
        default="text",
        choices=[*DIALECTS],
        metavar="LANGUAGE",
        help="one of %(choices)s (default: text)",
    )
    parser.add_argument(
        "--table",
        choices=[*SHORT, *TABLES],
        default="records",
        metavar="TABLE",
        help="records, connections, both, requests (connections, gateway logs and the view that joins them),"
        f" all, or a table's name: {', '.join(TABLES)} (default: records)",
    )
    parser.add_argument("--location", help="the container: a folder or an address")
