"""Reads the newest snapshots of the Delta tables with deltalake and compares them with the ground truth."""

import deltalake
import pyarrow as pa
from azure.storage.blob import ContainerClient

from local.emulators.azurite import ACCOUNT, KEY
from local.emulators.functions_host.process import HostProcess
from local.stack import OUTPUT, Stack
from local.traffic.check import check, check_durations
from local.traffic.truth import OTHER_ROWS, ROW, Truth
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.registry import categories, of_categories
from shared.wording import counted

TIMER = "compact_logs"


def update_logs(host: HostProcess) -> None:
    """Fires the timer that keeps the Delta logs, and waits for the end of its run."""
    host.invoke(TIMER)
    host.wait_for("invocation", function=TIMER, scheduled=False)


def options(output: ContainerClient) -> dict[str, str]:
    """Returns the options with which deltalake reaches a container of Azurite."""
    return {
        "azure_storage_account_name": ACCOUNT,
        "azure_storage_account_key": KEY,
        "azure_storage_endpoint": output.primary_endpoint.rsplit("/", 1)[0],
        "allow_http": "true",
    }


def snapshot(stack: Stack, table: str) -> pa.Table:
    """Returns all rows of the newest version of a table, as a Delta reader sees them."""
    address = f"az://{OUTPUT}/parquet/{table}"
    return deltalake.DeltaTable(address, storage_options=options(stack.container(OUTPUT))).to_pyarrow_table()


def compare(stack: Stack, truth: Truth) -> bool:
    """Compares all tables with what was sent and prints the result; returns whether nothing differs."""
    results = [
        check(truth, snapshot(stack, table.name), outcome=OTHER_ROWS.get(category, ROW))
        for category, table in zip(categories(), of_categories(categories()), strict=True)
    ]
    connections = check_durations(truth, snapshot(stack, CONNECTIONS.name))
    rows, lost, duplicated = (
        sum(getattr(one, name) for one in results) for name in ("rows", "lost", "duplicated")
    )
    print(
        f"delta: {counted(rows, 'row')}, {lost} lost, {duplicated} duplicated; "
        f"{connections.exact} of {counted(connections.connections, 'connection')} exact"
    )
    return all(one.exact for one in results) and not (connections.wrong or connections.missing)
