"""Reads the metrics that the program records in this process."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from opentelemetry import metrics
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, _Gauge
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader

from shared.metrics import METRICS

type Collected = dict[str, float]
"""Values since the last call, by `name attribute=value …`; for a histogram, its sum."""
type Collect = Callable[[], Collected]

DECLARED = {metric.name: metric for metric in METRICS}
DELTA = dict.fromkeys((Counter, Histogram, _Gauge), AggregationTemporality.DELTA)


@cache
def _reader() -> InMemoryMetricReader:
    # A process has one provider permanently.
    reader = InMemoryMetricReader(preferred_temporality=DELTA)  # type: ignore[arg-type]
    metrics.set_meter_provider(MeterProvider([reader], shutdown_on_exit=False))
    return reader


def collected() -> Collected:
    """Returns what was recorded since the last call, and checks that it is as declared."""
    data = _reader().get_metrics_data()
    found: Collected = {}
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                declared = DECLARED[metric.name]
                assert (metric.unit, metric.description) == (declared.unit, declared.meaning)
                for point in metric.data.data_points:
                    attributes: Mapping[str, Any] = point.attributes or {}
                    assert tuple(attributes) == declared.attributes
                    labels = [f"{name}={value}" for name, value in attributes.items()]
                    value = point.sum if hasattr(point, "sum") else point.value
                    found[" ".join([metric.name.removeprefix("websocketlogs."), *labels])] = value
    return found
