"""The registry of exported tables; all code that concerns every table iterates over it."""

from collections.abc import Iterable

from shared.tables.column_keys import ColumnKeys, extended
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.gateway_llm_log import GATEWAY_LLM_LOG
from shared.tables.gateway_logs import GATEWAY_LOGS
from shared.tables.table import Table
from shared.tables.websocket_connection_logs import RECORDS

TABLES = {table.name: table for table in (RECORDS, CONNECTIONS, GATEWAY_LOGS, GATEWAY_LLM_LOG)}
"""All tables by name, which is also the name of the folder."""


def categories() -> tuple[str, ...]:
    """Returns the categories that can be exported."""
    return tuple(table.category for table in TABLES.values() if table.category)


def of_categories(names: Iterable[str], column_keys: ColumnKeys = ()) -> tuple[Table, ...]:
    """Returns the tables of these categories, in order, with additional keys for their columns."""
    by_category = {table.category: table for table in TABLES.values()}
    return tuple(extended(by_category[name], column_keys) for name in names)


def names_of(tables: Iterable[Table]) -> set[str]:
    """Returns the names by which records of these tables identify themselves, in lower case."""
    return {name.lower() for table in tables for name in (table.category, table.name) if name}


def table_of(file: str) -> Table | None:
    """Returns the table of an output file, by the file's name, or None."""
    return next((TABLES[part] for part in file.split("/")[1:2] if part in TABLES), None)
