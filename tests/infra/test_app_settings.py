"""The application settings of a deployment are those that the program declares."""

import re
from typing import Any

from shared.settings import Settings
from tests.infra.bicep import template
from tests.infra.snapshots import settings

# The identity stands in for them. (That of Application Insights is an address: see modules/monitoring.bicep.)
CONNECTION_STRINGS = {"EventHubConnection", "OutputStorage", "StateStorage", "AzureWebJobsStorage"}

# Unset by default; the parameter `settings` sets them.
LEFT_OUT = {
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_METRICS_EXPORTER"),
    *("HASH_COLUMNS", "HASH_KEY", "DROP_COLUMNS", "COLUMN_KEYS"),
}

# Locations, which the parameter `settings` cannot change.
FIXED = re.compile(
    r"EventHubConnection|EVENT_HUB|OutputStorage|StateStorage|AzureWebJobsStorage|.*_CONTAINER|APPLICATIONINSIGHTS"
)

# Follows a parameter of the template.
COMPUTED = {"PARQUET_RETENTION"}

# Read by the Functions host and Azure's libraries, but not by the exporter.
NOT_OURS = {
    "AzureWebJobsStorage__credential",
    "AzureWebJobsDisableHomepage",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "EventHubConnection__credential",
    "OTEL_TRACES_SAMPLER",
    "PYTHON_ENABLE_OPENTELEMETRY",
}


def test_the_app_has_exactly_the_programs_settings_except_connection_strings() -> None:
    assert set(settings()) == set(Settings.model_fields) - CONNECTION_STRINGS - LEFT_OUT | NOT_OURS


def test_the_defaults_are_those_of_the_program() -> None:
    deployed = settings()
    # Values that only a deployment knows are expressions here.
    given: dict[str, Any] = {
        name: ("https://x" if name.endswith("Uri") else "x") if value.startswith("[") else value
        for name, value in deployed.items()
    }
    program = Settings(**{name: value for name, value in given.items() if name not in NOT_OURS})
    for name in set(Settings.model_fields) - CONNECTION_STRINGS - LEFT_OUT - COMPUTED:
        if not FIXED.match(name) or name.endswith("_CONTAINER"):
            assert getattr(program, name) == Settings.model_fields[name].default, name


def test_the_template_accepts_every_setting() -> None:
    given = template()["definitions"]["Settings"]
    assert given["additionalProperties"] is False
    assert {(one["type"], one["nullable"]) for one in given["properties"].values()} == {("string", True)}
    free = {name for name in Settings.model_fields if not FIXED.match(name)}
    assert set(given["properties"]) == free | {"OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"}


def test_given_values_override_defaults() -> None:
    changed = {name: value for name, value in settings("everything").items() if value != settings().get(name)}
    assert changed["OUTPUT_FORMATS"] == "parquet,json"
    assert changed["OTEL_TRACES_SAMPLER"] == "parentbased_traceidratio"
    assert changed["OTEL_TRACES_SAMPLER_ARG"] == "0.1"


def test_the_retention_setting_matches_the_lifecycle_rule_for_parquet() -> None:
    assert settings()["PARQUET_RETENTION"] == "P365D"
    assert settings("everything")["PARQUET_RETENTION"] == "P30D"
    assert settings("existing-resources")["PARQUET_RETENTION"] == "P0D"


def test_opentelemetry_reads_the_sampling_of_traces() -> None:
    assert settings()["OTEL_TRACES_SAMPLER"] == "always_on"
