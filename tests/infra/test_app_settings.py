from datetime import timedelta

from shared.settings import Settings
from tests.infra.templates import modules, template, variable

APP = "modules/app.bicep"
CONNECTIONS = set(variable(APP, "connections"))
DEFAULTS = variable(APP, "defaults")
PLATFORM = set(variable(APP, "platform"))

# The identity stands in for them. (That of Application Insights is an address: see modules/monitoring.bicep.)
CONNECTION_STRINGS = {"EventHubConnection", "OutputStorage", "StateStorage", "AzureWebJobsStorage"}

# Unset by default; whoever wants one sets it with the parameter `settings`.
LEFT_OUT = {
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_METRICS_EXPORTER"),
    *("HASH_COLUMNS", "HASH_KEY", "DROP_COLUMNS"),
}

# What the Functions host and Azure's libraries read, and the exporter does not.
NOT_OURS = {
    "AzureWebJobsStorage__credential",
    "AzureWebJobsDisableHomepage",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "EventHubConnection__credential",
    "PYTHON_ENABLE_OPENTELEMETRY",
}


def test_the_app_has_every_setting_of_the_program_but_connection_strings() -> None:
    assert (
        set(Settings.model_fields) - CONNECTION_STRINGS - LEFT_OUT
        == (CONNECTIONS | set(DEFAULTS) | PLATFORM) - NOT_OURS
    )


def test_nothing_is_set_that_nobody_reads() -> None:
    assert {*CONNECTIONS, *DEFAULTS, *PLATFORM} - set(Settings.model_fields) == NOT_OURS


def test_the_defaults_are_those_of_the_program() -> None:
    connections = dict.fromkeys(CONNECTIONS & set(Settings.model_fields), "x")
    settings = Settings(**{**connections, **DEFAULTS, "EVENT_HUB_RETENTION": "PT168H"})
    for name in DEFAULTS:
        assert getattr(settings, name) == Settings.model_fields[name].default, name
    retention = settings.EVENT_HUB_RETENTION
    assert retention == timedelta(hours=168)


def test_the_containers_are_named_as_in_the_program() -> None:
    for setting, name in (("OUTPUT_CONTAINER", "outputContainer"), ("STATE_CONTAINER", "stateContainer")):
        assert variable("main.bicep", name) == Settings.model_fields[setting].default


def test_the_retention_that_is_told_is_that_of_the_hub() -> None:
    assert variable(APP, "connections")["EVENT_HUB_RETENTION"] == "PT${retentionHours}H"
    deployed = modules("main.bicep")
    assert (
        deployed["app"]["params"]["retentionHours"]
        == deployed["events"]["params"]["retentionHours"]
        == "eventRetentionHours"
    )


def test_what_is_given_overrides_defaults_and_never_where_things_are() -> None:
    (settings,) = (one for name, one in template(APP)["resources"].items() if name == "appSettings")
    order = settings["config"]["properties"]["function"]["parameters"]
    assert [
        one for values in order.values() for one in ([values] if isinstance(values, str) else values)
    ] == [*("defaults", "settings", "connections", "platform")]
