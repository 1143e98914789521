"""Parses host.json, the app settings and function bindings into plain data."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

OVERRIDE = "AzureFunctionsJobHost__extensions__eventHubs__"
TRIGGERS = ("eventHubTrigger", "timerTrigger")


class AppError(Exception):
    """The app folder, its settings or its functions cannot be served; the message is for its author."""


@dataclass(frozen=True)
class Function:
    """One function that the worker found, with its raw bindings and its retry policy, if it has one."""

    name: str
    function_id: str
    bindings: tuple[dict[str, Any], ...]
    retry: dict[str, Any] | None

    @property
    def trigger(self) -> dict[str, Any]:
        """The trigger's binding; raises `AppError` if this host does not support it."""
        for binding in self.bindings:
            if binding["type"] in TRIGGERS:
                return binding
        types = ", ".join(str(binding["type"]) for binding in self.bindings)
        raise AppError(f"{self.name}: this host serves {' and '.join(TRIGGERS)} only, found: {types}")


@dataclass(frozen=True)
class HostOptions:
    """host.json: `extensions.eventHubs` and `functionTimeout`, with the defaults of extension 5.x and later.

    Defaults:
    https://learn.microsoft.com/azure/azure-functions/functions-bindings-event-hubs#hostjson-settings and
    https://learn.microsoft.com/azure/azure-functions/functions-host-json#functiontimeout. Durations in
    seconds.
    """

    max_event_batch_size: int = 100
    min_event_batch_size: int = 1
    max_wait_time: float = 60
    prefetch_count: int = 300
    load_balancing_update_interval: float = 30
    partition_ownership_expiration_interval: float = 120
    initial_offset: str = "fromStart"
    function_timeout: float | None = 1800

    @classmethod
    def load(cls, app: Path, settings: Mapping[str, str] | None = None) -> Self:
        """Reads `host.json` of the app folder; raises `AppError` if it is missing or not supported.

        A setting `AzureFunctionsJobHost__extensions__eventHubs__NAME` overrides the file, as in the real
        host: https://learn.microsoft.com/azure/azure-functions/functions-host-json#override-hostjson-values
        """
        path = app / "host.json"
        try:
            document = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise AppError(f"{path} cannot be read: {error}") from error
        hubs = document.get("extensions", {}).get("eventHubs", {}) | {
            name.removeprefix(OVERRIDE): int(value) if value.isdecimal() else value
            for name, value in (settings or {}).items()
            if name.startswith(OVERRIDE)
        }
        values: dict[str, Any] = {}
        for key, value in hubs.items():
            name = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", key).lower()
            if name == "initial_offset_options":
                values["initial_offset"] = value.get("type", "fromStart")
            elif name in cls.__dataclass_fields__:
                values[name] = seconds(value) if isinstance(value, str) else value
        timeout = document.get("functionTimeout")
        if timeout is not None:
            values["function_timeout"] = None if str(timeout) == "-1" else seconds(timeout)
        options = cls(**values)
        if options.initial_offset not in ("fromStart", "fromEnd"):
            raise AppError(f"{path}: initialOffsetOptions.type must be fromStart or fromEnd in this emulator")
        if not 1 <= options.min_event_batch_size <= options.max_event_batch_size:
            raise AppError(f"{path}: minEventBatchSize must be between 1 and maxEventBatchSize")
        if hubs.get("batchCheckpointFrequency", 1) != 1:
            raise AppError(f"{path}: batchCheckpointFrequency must be 1 in this emulator")
        return options


def seconds(text: str) -> float:
    """Parses a .NET TimeSpan of the form `HH:MM:SS` to seconds; raises `AppError` for any other form."""
    match = re.fullmatch(r"(\d\d):([0-5]\d):([0-5]\d(?:\.\d+)?)", text)
    # .NET reads a first number of 24 or more as days, which is never what the author meant.
    if match is None or int(match[1]) > 23:  # noqa: PLR2004
        raise AppError(f"{text!r} is not a time span below 24 hours in the form HH:MM:SS")
    return timedelta(hours=int(match[1]), minutes=int(match[2]), seconds=float(match[3])).total_seconds()


def environment(base: Mapping[str, str], settings: Path | None) -> dict[str, str]:
    """Returns the environment of host and worker: `Values` of local.settings.json, overridden by `base`.

    The environment has priority, as with Core Tools (`func start` logs that it skips the value).
    """
    if settings is None:
        return dict(base)
    try:
        values = json.loads(settings.read_text("utf-8")).get("Values", {})
    except (OSError, ValueError) as error:
        raise AppError(f"{settings} cannot be read: {error}") from error
    return {name: str(value) for name, value in values.items()} | dict(base)


def resolve(text: str, settings: Mapping[str, str]) -> str:
    """Replaces every `%NAME%` in `text` with that setting; raises `AppError` that names a missing one."""

    def value(match: re.Match[str]) -> str:
        try:
            return settings[match[1]]
        except KeyError:
            raise AppError(f"{match[0]} does not resolve: there is no setting {match[1]}") from None

    return re.sub(r"%([^%\s]+)%", value, text)


def connection_string(name: str, settings: Mapping[str, str]) -> str:
    """Returns the connection string in the setting `name`; raises `AppError` if there is none."""
    try:
        return settings[name]
    except KeyError:
        raise AppError(
            f"There is no setting {name} (this host needs a connection string, not an identity)"
        ) from None
