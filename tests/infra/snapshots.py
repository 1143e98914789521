"""Reads the resources of deployments as `bicep snapshot` evaluated them: one file for each scenario.

tests/infra/test_bicep.py compares the files with the templates if there is a compiler.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
SCENARIOS = Path(__file__).parent / "scenarios"
NAMES = sorted(path.name.removesuffix(".snapshot.json") for path in SCENARIOS.glob("*.snapshot.json"))


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource that a deployment would create."""

    id: str
    type: str
    name: str
    api_version: str
    body: dict[str, Any]

    @property
    def properties(self) -> dict[str, Any]:
        return dict(self.body.get("properties", {}))

    @property
    def group(self) -> str:
        """The subscription and resource group of the resource, or of the one that it extends."""
        return "/".join(self.id.removeprefix("[extensionResourceId('").split("/")[:5])


@cache
def resources(scenario: str = "default") -> tuple[Resource, ...]:
    found = json.loads((SCENARIOS / f"{scenario}.snapshot.json").read_text())["predictedResources"]
    return tuple(Resource(one["id"], one["type"], one["name"], one["apiVersion"], one) for one in found)


def of_type(type_: str, scenario: str = "default") -> list[Resource]:
    return [one for one in resources(scenario) if one.type == type_]


def the(type_: str, scenario: str = "default", name: str = "") -> Resource:
    (one,) = [one for one in of_type(type_, scenario) if name in one.name]
    return one


def settings(scenario: str = "default") -> dict[str, str]:
    """Returns the application settings."""
    return the("Microsoft.Web/sites/config", scenario).properties


def log_rules(scenario: str = "default") -> dict[int, str]:
    """Returns the queries of log alert rules by severity."""
    rules = of_type("Microsoft.Insights/scheduledQueryRules", scenario)
    return {one.properties["severity"]: one.properties["criteria"]["allOf"][0]["query"] for one in rules}


def strings(value: Any) -> Iterator[str]:
    """Yields every string in a value, including names."""
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
