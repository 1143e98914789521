"""Telemetry is exported as configured; each test needs a separate process, which configures it once."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.collector import Collector

ROOT = Path(__file__).resolve().parents[2]
KEY = "InstrumentationKey=00000000-0000-0000-0000-000000000000"
QUIET = {
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
    "FUNCTIONS_WORKER_RUNTIME": "python",
}
NEEDED = {
    "EventHubConnection": "x",
    "EVENT_HUB_NAME": "hub",
    "EVENT_HUB_CONSUMER_GROUP": "group",
    "OutputStorage": "UseDevelopmentStorage=true",
}
START = "import logging, sys; from shared import metrics, settings, telemetry, telemetry_export as export; "
CONFIGURE = "export.configure(settings.load()); "
REPORT = (
    "logging.getLogger().setLevel(logging.INFO); "
    "telemetry.alarmed('export_logs', 3); logging.getLogger('shared.export').info('commit {}'); "
    "logging.getLogger('azure.core.pipeline').info('a request'); "
)


def run(code: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", START + code],
        cwd=ROOT,
        env=NEEDED | variables,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.stdout + done.stderr


def test_without_a_destination_nothing_is_imported() -> None:
    heavy = "'opentelemetry.sdk', 'opentelemetry.exporter', 'azure.monitor', 'requests', 'google.protobuf'"
    assert run(f"{CONFIGURE}{REPORT}print([one for one in ({heavy}) if one in sys.modules])") == "[]\n"


def test_application_insights_gets_metrics_and_log_lines_under_their_names() -> None:
    with Collector() as collector:
        address = f"{KEY};IngestionEndpoint={collector.address}/"
        said = run(CONFIGURE + REPORT, APPLICATIONINSIGHTS_CONNECTION_STRING=address, **QUIET)
        bases = [item["data"]["baseData"] for item in collector.tracked]
    (alarms,) = [one for base in bases for one in base.get("metrics", ()) if "alarms" in one["name"]]
    assert (alarms["name"], alarms["value"]) == ("websocketlogs.alarms", 3), said
    assert [base["message"] for base in bases if "message" in base] == ["commit {}"]


def test_an_otlp_endpoint_gets_metrics_and_log_lines() -> None:
    delta = {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"}
    with Collector() as collector:
        said = run(CONFIGURE + REPORT, OTEL_EXPORTER_OTLP_ENDPOINT=collector.address, **delta)
    assert collector.total("websocketlogs.alarms", "function=export_logs") == 3, said
    assert collector.lines == ["commit {}"]


def test_both_get_the_same() -> None:
    with Collector() as collector:
        run(
            CONFIGURE + REPORT,
            APPLICATIONINSIGHTS_CONNECTION_STRING=f"{KEY};IngestionEndpoint={collector.address}/",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.address,
            OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta",
            **QUIET,
        )
    assert collector.total("websocketlogs.alarms") == 3
    assert collector.lines == ["commit {}"]
    assert "websocketlogs.alarms" in str(collector.tracked)


def test_the_console_gets_metrics() -> None:
    assert '"name": "websocketlogs.alarms"' in run(CONFIGURE + REPORT, OTEL_METRICS_EXPORTER="console")


def test_the_app_adds_nothing_if_the_worker_sends_telemetry() -> None:
    worker = (
        "from opentelemetry import metrics; from opentelemetry.sdk.metrics import MeterProvider; "
        "metrics.set_meter_provider(MeterProvider()); handlers = len(logging.getLogger().handlers); "
    )
    after = "print(len(logging.getLogger().handlers) - handlers)"
    with Collector() as collector:
        assert run(worker + CONFIGURE + after, OTEL_EXPORTER_OTLP_ENDPOINT=collector.address) == "0\n"


@pytest.mark.parametrize("wrong", ["nonsense", "InstrumentationKey=short"])
def test_a_wrong_connection_string_stops_the_start(wrong: str) -> None:
    said = run(CONFIGURE, APPLICATIONINSIGHTS_CONNECTION_STRING=wrong, **QUIET).splitlines()
    assert said[-1].startswith("shared.errors.SettingError: APPLICATIONINSIGHTS_CONNECTION_STRING: ")


def test_a_missing_endpoint_does_not_delay_the_program() -> None:
    began = time.monotonic()
    said = run(CONFIGURE + REPORT + "print('done')", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert "done" in said
    assert time.monotonic() - began < 45


def test_a_flush_sends_what_was_collected_at_once() -> None:
    assert run(f"{CONFIGURE}{REPORT}export.flush(); print('done')") == "done\n"
    with Collector() as collector:
        # Killed before its end, because ending would send telemetry, too.
        code = f"{CONFIGURE}{REPORT}export.flush(); import os; os._exit(0)"
        delta = {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"}
        said = run(code, OTEL_EXPORTER_OTLP_ENDPOINT=collector.address, **delta)
        assert collector.total("websocketlogs.alarms") == 3, said


def test_telemetry_is_sent_every_ten_seconds_and_by_each_timer() -> None:
    delta = {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"}
    lines = "import os\nfrom shared.invocation import invocation\nfor _ in range(3):\n"
    for function, after, exports in (("export_logs", 10, 1), ("compact_logs", 0, 3)):
        with Collector() as collector:
            code = (
                f"{CONFIGURE}\n{lines}  with invocation({function!r}, {after}):\n"
                "    telemetry.alarmed('export_logs')\nos._exit(0)"
            )
            said = run(code, OTEL_EXPORTER_OTLP_ENDPOINT=collector.address, **delta)
            assert collector.exports == exports, said
            assert collector.total("websocketlogs.alarms") == exports


def test_a_flush_sends_log_lines_too() -> None:
    with Collector() as collector:
        code = (
            f"{CONFIGURE}logging.getLogger('shared.export').info('commit {{}}'); "
            "export.flush(); import os; os._exit(0)"
        )
        run(code, OTEL_EXPORTER_OTLP_ENDPOINT=collector.address, OTEL_BLRP_SCHEDULE_DELAY="60000")
        assert collector.lines == ["commit {}"]


@pytest.mark.parametrize("name", ["azure.eventhub", "azure.eventhub._pyamqp.cbs", "azure.core.pipeline"])
def test_libraries_that_log_each_request_are_quiet(name: str) -> None:
    code = f"print(logging.getLogger({name!r}).isEnabledFor(logging.INFO))"
    assert run(f"{CONFIGURE}logging.getLogger().setLevel(logging.INFO); {code}") == "False\n"


GAUGE = (
    "metrics.OPEN.record(7, {}); export.flush(); telemetry.alarmed('export_logs'); export.flush(); "
    "import os; os._exit(0)"
)


def test_application_insights_gets_each_gauge_value_once() -> None:
    with Collector() as collector:
        address = f"{KEY};IngestionEndpoint={collector.address}/"
        said = run(CONFIGURE + GAUGE, APPLICATIONINSIGHTS_CONNECTION_STRING=address, **QUIET)
        sent = [one for item in collector.tracked for one in item["data"]["baseData"].get("metrics", ())]
    names = [one["name"] for one in sent if one["name"].startswith("websocketlogs.")]
    assert sorted(names) == ["websocketlogs.alarms", "websocketlogs.connections.open"], said


def test_an_otlp_endpoint_gets_each_set_gauge_once() -> None:
    with Collector() as collector:
        delta = {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"}
        said = run(CONFIGURE + GAUGE, OTEL_EXPORTER_OTLP_ENDPOINT=collector.address, **delta)
        assert collector.exports == 2, said
        assert collector.points["websocketlogs.connections.open"] == 1


def test_the_console_shows_each_gauge_value_once() -> None:
    said = run(CONFIGURE + GAUGE, OTEL_METRICS_EXPORTER="console")
    assert said.count('"name": "websocketlogs.connections.open"') == 1
