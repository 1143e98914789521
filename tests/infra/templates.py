"""The Bicep templates as data, as pycep reads them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pycep import BicepParser

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
FILES = sorted(path.relative_to(INFRA).as_posix() for path in INFRA.rglob("*.bicep"))


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource declaration, existing ones included."""

    file: str
    symbol: str
    type: str
    api_version: str
    existing: bool
    body: dict[str, Any]
    """Without the loop or condition around it."""

    @property
    def properties(self) -> dict[str, Any]:
        return dict(self.body["properties"])


def text(file: str) -> str:
    return (INFRA / file).read_text()


@cache
def template(file: str) -> dict[str, Any]:
    """What pycep makes of a file: parameters, variables, resources, modules, outputs by name; plain data."""
    parsed: dict[str, Any] = json.loads(json.dumps(BicepParser().parse(text=text(file)), default=str))
    return parsed


@cache
def resources() -> tuple[Resource, ...]:
    return tuple(
        Resource(
            file, symbol, one["type"], one["api_version"], one["existing"] is not False, body(one["config"])
        )
        for file in FILES
        for symbol, one in template(file).get("resources", {}).items()
    )


def of_type(type_: str) -> list[Resource]:
    return [one for one in resources() if one.type == type_ and not one.existing]


def the(type_: str, symbol: str) -> Resource:
    (one,) = [one for one in of_type(type_) if one.symbol == symbol]
    return one


def variable(file: str, name: str) -> Any:
    return template(file)["variables"][name]["value"]


def modules(file: str) -> dict[str, dict[str, Any]]:
    """Of each module of a file its path, name, scope and params."""
    return {
        symbol: {"path": one["detail"]["path"], **body(one["config"])}
        for symbol, one in template(file).get("modules", {}).items()
    }


def body(config: dict[str, Any]) -> dict[str, Any]:
    """What is inside of `[for …: …]` and `if (…) …`."""
    while "config" in config:
        config = config["config"]
    return config


def strings(value: Any) -> Iterator[str]:
    """Every string within a value: literals, names and functions alike, which pycep does not tell apart."""
    match value:
        case str():
            yield value
        case dict():
            for key, one in value.items():
                yield key
                yield from strings(one)
        case list():
            for one in value:
                yield from strings(one)
