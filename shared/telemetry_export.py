"""Sends telemetry to Application Insights, an OTLP endpoint or the console, if one is configured.

The app sends its own telemetry. If PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY tells the worker to send it,
the worker starts doing so before it loads the app, and the app adds nothing (see docs/telemetry.md).
"""

import logging
import math
import threading
import time
from typing import TYPE_CHECKING

from opentelemetry import metrics
from opentelemetry._logs import get_logger_provider

from shared.errors import SettingError
from shared.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricReader

log = logging.getLogger(__name__)

CHATTY = ("azure.core", "azure.eventhub", "azure.identity", "azure.monitor.opentelemetry")
"""Loggers of libraries that write at least one line for each request or connection."""
OFF = {
    name: {"enabled": False}
    for name in (
        *("azure_sdk", "django", "fastapi", "flask", "httpx", "httpx2"),
        *("psycopg2", "requests", "urllib", "urllib3"),
    )
}
"""Instrumentations to turn off: a span for each storage call would cost more than it is worth."""


FLUSH_MS = 5_000
"""Maximum milliseconds for sending the collected metrics, and the same again for the log lines."""

_flushing = threading.Lock()
_flushed_at = -math.inf


def flush(after: float = 0) -> None:
    """Sends the collected telemetry, unless some was sent less than `after` seconds ago. Never raises.

    An instance may be frozen after an invocation until the next one.
    """
    global _flushed_at  # noqa: PLW0603 - the providers are global, too
    if not _flushing.acquire(blocking=not after):
        return  # another invocation is sending
    try:
        if after and time.monotonic() - _flushed_at < after:
            return
        for provider in (metrics.get_meter_provider(), get_logger_provider()):
            send = getattr(provider, "force_flush", None)
            if send:
                try:
                    send(FLUSH_MS)
                except Exception as error:  # noqa: BLE001 - the work is done even if it cannot be reported
                    log.warning("telemetry was not sent: %s", error)
        _flushed_at = time.monotonic()
    finally:
        _flushing.release()


def configure(settings: Settings) -> None:
    """Starts sending metrics and logs to the configured destinations. Call it once, before functions run.

    Imports nothing if no destination is configured. Raises SettingError.
    """
    logging.getLogger("shared").setLevel(logging.INFO)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    insights = settings.APPLICATIONINSIGHTS_CONNECTION_STRING
    console = settings.OTEL_METRICS_EXPORTER == "console"
    if not (insights or settings.OTEL_EXPORTER_OTLP_ENDPOINT or console):
        return
    # These imports take up to a second, which an app without telemetry need not wait for.
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor  # noqa: PLC0415
    from opentelemetry.sdk.metrics import MeterProvider, _Gauge  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import (  # noqa: PLC0415
        AggregationTemporality,
        ConsoleMetricExporter,
        PeriodicExportingMetricReader,
    )

    if isinstance(metrics.get_meter_provider(), MeterProvider):
        log.info("the worker sends the telemetry")
        return
    # By default (cumulative temporality), each process keeps sending every gauge that it ever set, each
    # minute (opentelemetry-sdk, `_LastValueAggregation.collect`): a stopped timer would not go silent, and a
    # partition that moved to another instance would have two lag values.
    once: dict[type, AggregationTemporality] = {_Gauge: AggregationTemporality.DELTA}
    readers: list[MetricReader] = []
    processors: list[BatchLogRecordProcessor] = []
    if console:
        readers.append(PeriodicExportingMetricReader(ConsoleMetricExporter(preferred_temporality=once)))
    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415

        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter(preferred_temporality=once)))
        processors.append(BatchLogRecordProcessor(OTLPLogExporter()))
    if insights:
        _to_application_insights(insights, readers, processors, once)
        return
    metrics.set_meter_provider(MeterProvider(readers))
    if processors:
        from opentelemetry._logs import set_logger_provider  # noqa: PLC0415
        from opentelemetry.instrumentation.logging.handler import LoggingHandler  # noqa: PLC0415
        from opentelemetry.sdk._logs import LoggerProvider  # noqa: PLC0415

        provider = LoggerProvider()
        for processor in processors:
            provider.add_log_record_processor(processor)
        set_logger_provider(provider)
        logging.getLogger().addHandler(LoggingHandler(logger_provider=provider))


def _to_application_insights(
    connection_string: str,
    readers: "list[MetricReader]",
    processors: "list[BatchLogRecordProcessor]",
    temporality: "dict[type, AggregationTemporality]",
) -> None:
    """Adds exporters to Application Insights to the readers and processors.

    They use the identity in APPLICATIONINSIGHTS_AUTHENTICATION_STRING, which the exporter reads.
    """
    from azure.monitor.opentelemetry import configure_azure_monitor  # noqa: PLC0415
    from azure.monitor.opentelemetry.exporter.export.metrics import _exporter  # noqa: PLC0415

    # The exporter's own table has no entry for `Gauge`, and there is no other way to add one.
    _exporter.APPLICATION_INSIGHTS_METRIC_TEMPORALITIES.update(temporality)  # type: ignore[arg-type]

    try:
        configure_azure_monitor(
            connection_string=connection_string,
            metric_readers=readers,
            log_record_processors=processors,
            instrumentation_options=OFF,
            # The host and the platform already report these for the whole instance.
            enable_live_metrics=False,
            enable_performance_counters=False,
        )
    except ValueError as error:
        raise SettingError(f"APPLICATIONINSIGHTS_CONNECTION_STRING: {error}") from None
