"""Where telemetry goes: Application Insights, an OTLP endpoint, the console, or nowhere while none is set.

The app owns its telemetry. A worker that was told to send it (PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY)
has begun to before it loads the app, which then adds nothing: see docs/telemetry.md.
"""

import logging
from typing import TYPE_CHECKING

from opentelemetry import metrics

from shared.errors import SettingError
from shared.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics.export import MetricReader

CHATTY = ("azure.core", "azure.identity", "azure.monitor.opentelemetry")
"""Loggers of libraries that have a line, or many, for each request they make."""
OFF = {
    name: {"enabled": False}
    for name in (
        *("azure_sdk", "django", "fastapi", "flask", "httpx", "httpx2"),
        *("psycopg2", "requests", "urllib", "urllib3"),
    )
}
"""Instrumentations of the distribution: a span for each storage call would cost more than it tells."""


FLUSH_MS = 5_000
"""Milliseconds that sending what was gathered may take."""


def flush() -> None:
    """Sends what was gathered; after a timer's run its instance may be frozen until the next one."""
    send = getattr(metrics.get_meter_provider(), "force_flush", None)
    if send:
        send(FLUSH_MS)


def configure(settings: Settings) -> None:
    """Begins to send metrics and logs where the settings say; once, before functions run.

    Imports nothing as long as they say nothing. Raises SettingError.
    """
    logging.getLogger("shared").setLevel(logging.INFO)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    insights = settings.APPLICATIONINSIGHTS_CONNECTION_STRING
    console = settings.OTEL_METRICS_EXPORTER == "console"
    if not (insights or settings.OTEL_EXPORTER_OTLP_ENDPOINT or console):
        return
    # Up to a second of imports, which an app without telemetry need not wait for.
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor  # noqa: PLC0415
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import (  # noqa: PLC0415
        ConsoleMetricExporter,
        PeriodicExportingMetricReader,
    )

    if isinstance(metrics.get_meter_provider(), MeterProvider):
        logging.getLogger(__name__).info("the worker sends the telemetry")
        return
    readers: list[MetricReader] = []
    processors: list[BatchLogRecordProcessor] = []
    if console:
        readers.append(PeriodicExportingMetricReader(ConsoleMetricExporter()))
    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415

        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
        processors.append(BatchLogRecordProcessor(OTLPLogExporter()))
    if insights:
        _to_application_insights(insights, readers, processors)
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
    connection_string: str, readers: "list[MetricReader]", processors: "list[BatchLogRecordProcessor]"
) -> None:
    """Sends there what the readers and processors get, too.

    With an identity, as APPLICATIONINSIGHTS_AUTHENTICATION_STRING says, which the exporter reads.
    """
    from azure.monitor.opentelemetry import configure_azure_monitor  # noqa: PLC0415

    try:
        configure_azure_monitor(
            connection_string=connection_string,
            metric_readers=readers,
            log_record_processors=processors,
            instrumentation_options=OFF,
            # The host and the platform report the same of the whole instance.
            enable_live_metrics=False,
            enable_performance_counters=False,
        )
    except ValueError as error:
        raise SettingError(f"APPLICATIONINSIGHTS_CONNECTION_STRING: {error}") from None
