"""The real host ignores unknown keys of host.json without a word: these tests know the keys that exist."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.connections.checkpoint_watch import BATCH, MINIMUM

ROOT = Path(__file__).resolve().parents[1]
HOST = json.loads((ROOT / "host.json").read_text())
_KNOWN = json.loads((ROOT / "tests" / "fixtures" / "host" / "host-json-keys.json").read_text())
KNOWN = {*_KNOWN["keys"], *_KNOWN["also"]}
FREE = {"logging.logLevel"}
"""Objects whose keys are names of the user's choice."""
WITHOUT_EFFECT = {"logging.applicationInsights", "logging.logLevel.Azure.Core"}
"""In OpenTelemetry mode: seen in a real host."""


def paths(document: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, value in document.items():
        yield above + name
        if isinstance(value, dict) and above + name not in FREE:
            yield from paths(value, f"{above}{name}.")


def unknown(document: dict[str, Any]) -> set[str]:
    return set(paths(document)) - KNOWN


def test_every_key_of_host_json_exists() -> None:
    assert not unknown(HOST)


@pytest.mark.parametrize("path", sorted(set(paths(HOST)) - {"version"}))
def test_a_misspelled_key_would_be_found(path: str) -> None:
    copy = json.loads(json.dumps(HOST))
    *above, name = path.split(".")
    inside = copy
    for part in above:
        inside = inside[part]
    inside[f"{name}s"] = inside.pop(name)
    assert unknown(copy)


def test_no_key_is_without_effect() -> None:
    assert HOST["telemetryMode"] == "OpenTelemetry"
    levels = {f"logging.logLevel.{name}" for name in HOST["logging"]["logLevel"]}
    assert not WITHOUT_EFFECT & {*paths(HOST), *levels}


def test_the_timer_uses_the_batch_sizes_of_host_json() -> None:
    trigger = HOST["extensions"]["eventHubs"]
    assert (trigger["minEventBatchSize"], trigger["maxEventBatchSize"]) == (MINIMUM, BATCH)


def test_a_batch_that_fails_is_retried_until_it_succeeds() -> None:
    (export,) = [
        node
        for node in ast.parse((ROOT / "function_app.py").read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == "export_logs"
    ]
    (policy,) = [one for one in export.decorator_list if ast.unparse(one).startswith("app.retry(")]
    assert ast.unparse(policy) == (
        "app.retry(strategy='exponential_backoff', max_retry_count='-1', minimum_interval='00:00:02', "
        "maximum_interval='00:01:00')"
    )
