"""Finds settings that are missing, malformed, or contradict each other."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from shared.settings.explanations import written
from shared.tables.column_keys import problems
from shared.tables.registry import of_categories
from shared.tables.table import Role

STORAGE_STRING = re.compile(
    r"(?:^|;)\s*(?:AccountName|BlobEndpoint|UseDevelopmentStorage)\s*=\s*[^;\s]", re.IGNORECASE
)

ADDRESS = re.compile(r"https://[^/\s]+/?")
CONTAINER = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
"""https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata"""
HASH_KEY_LENGTH = 16


def contradictions(values: Mapping[str, Any], services: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yields one line for each problem: the setting, what is wrong, what to do.

    Args:
        values: all settings by name.
        services: for each service that must be reachable, the setting of its connection string, and the
            suffix of the setting of its address.
    """
    for name, address in services:
        if not (values[name] or values[f"{name}__{address}"]):
            yield f"{name}: set it to a connection string, or set {name}__{address}"
    yield from _storage(values)
    hub = values["EVENT_HUB_NAME"]
    entity = re.search(r"EntityPath=([^;]+)", values["EventHubConnection"])
    if entity and hub and entity[1].lower() != hub.lower():
        yield (
            f"EVENT_HUB_NAME: is {hub!r}, but the EntityPath of EventHubConnection names {entity[1]!r}, which"
            " takes precedence; remove the EntityPath or correct the name"
        )
    group = values["EVENT_HUB_OPERATOR_CONSUMER_GROUP"].casefold()
    if group and group == values["EVENT_HUB_CONSUMER_GROUP"].casefold():
        yield (
            "EVENT_HUB_OPERATOR_CONSUMER_GROUP: must not be EVENT_HUB_CONSUMER_GROUP, in which only the app may"
            " read; name another one"
        )
    if values["COMMIT_BYTES"] > values["MEMORY_BUDGET"]:
        sizes = f"{values['COMMIT_BYTES']} and {values['MEMORY_BUDGET']}"
        yield f"COMMIT_BYTES: must not be larger than MEMORY_BUDGET; got {sizes}"
    if values["WS_QUIET_TIMEOUT"] > values["WS_IDLE_TIMEOUT"]:
        spans = f"{written(values['WS_QUIET_TIMEOUT'])} and {written(values['WS_IDLE_TIMEOUT'])}"
        yield f"WS_QUIET_TIMEOUT: must not be longer than WS_IDLE_TIMEOUT; got {spans}"
    yield from _delta(values)
    yield from _columns(values)
    tables = of_categories(values["EXPORT_CATEGORIES"])
    yield from (f"COLUMN_KEYS: {problem}" for problem in problems(tables, values["COLUMN_KEYS"]))
    closing = {name.casefold() for name in values["WS_CLOSING_EVENTS"]}
    for name in values["WS_OPENING_EVENTS"]:
        if name.casefold() in closing:
            yield f"WS_OPENING_EVENTS: {name!r} is also in WS_CLOSING_EVENTS; remove it from one of them"


def _delta(values: Mapping[str, Any]) -> Iterator[str]:
    """Yields settings that contradict those of the Delta log."""
    if values["DELTA_LOG"] and "parquet" not in values["OUTPUT_FORMATS"]:
        yield "DELTA_LOG: must be false unless OUTPUT_FORMATS lists parquet: a Delta table has Parquet files"
    if values["COMPACT_KEEP"] and not values["DELTA_LOG"]:
        yield "COMPACT_KEEP: must be 0 unless DELTA_LOG is true: only the log lists the kept files"
    retention = values["PARQUET_RETENTION"]
    if retention and retention <= values["COMPACT_KEEP"] + timedelta(days=1):
        spans = f"{written(retention)} and {written(values['COMPACT_KEEP'])}"
        yield f"PARQUET_RETENTION: must be more than a day longer than COMPACT_KEEP; got {spans}"


def _storage(values: Mapping[str, Any]) -> Iterator[str]:
    """Yields storage accounts and containers that cannot be used."""
    for name in ("OutputStorage", "StateStorage"):
        if values[name] and not STORAGE_STRING.search(values[name]):
            yield (
                f"{name}: is not a connection string of a storage account; copy one from Access keys in the "
                "Azure portal (DefaultEndpointsProtocol=…;AccountName=…;AccountKey=…)"
            )
    for name in ("OutputStorage", "StateStorage", "AzureWebJobsStorage"):
        setting = f"{name}__blobServiceUri"
        if values[setting] and not ADDRESS.fullmatch(values[setting]):
            yield (
                f"{setting}: must be an address such as https://account.blob.core.windows.net; got "
                f"{values[setting]!r}"
            )
    for name in ("OUTPUT_CONTAINER", "DEAD_LETTER_CONTAINER", "STATE_CONTAINER"):
        if not CONTAINER.fullmatch(values[name]):
            yield (
                f"{name}: must have 3 to 63 lower-case letters, digits and single hyphens, and begin and end "
                f"with a letter or a digit; got {values[name]!r}"
            )
    elsewhere = values["StateStorage"] or values["StateStorage__blobServiceUri"]
    for name in ("DEAD_LETTER_CONTAINER", *(() if elsewhere else ("OUTPUT_CONTAINER",))):
        if values[name] == values["STATE_CONTAINER"]:
            yield f"{name}: must not be STATE_CONTAINER, which holds the ledgers; use another name"


def _columns(values: Mapping[str, Any]) -> Iterator[str]:
    """Yields columns that cannot be hashed or left empty."""
    texts = {
        column.name: column
        for table in of_categories(values["EXPORT_CATEGORIES"])
        for column in table.of(Role.INPUT)
        if column.type == "string"
    }
    unknown = [name for name in values["HASH_COLUMNS"] if name not in texts]
    for name in unknown:
        yield f"HASH_COLUMNS: {name!r} is not a text column; allowed are {', '.join(texts)}"
    for name in values["DROP_COLUMNS"]:
        if name not in texts or texts[name].required:
            allowed = ", ".join(column.name for column in texts.values() if not column.required)
            yield f"DROP_COLUMNS: {name!r} cannot be left empty; allowed are {allowed}"
    if values["HASH_COLUMNS"] and not unknown and len(values["HASH_KEY"]) < HASH_KEY_LENGTH:
        yield f"HASH_KEY: must have at least {HASH_KEY_LENGTH} characters if HASH_COLUMNS is set"
