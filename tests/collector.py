"""Receives telemetry on a loopback port: OTLP over HTTP, and the requests to Application Insights."""

import gzip
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import orjson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest


class Collector:
    """The sums of all received deltas, the last value of each gauge, and every log line.

    Keys: a metric's name and its attributes as sorted `name=value`. A histogram counts its values under
    its name and sums them under the name with ` sum`. Hold the `lock` while telemetry arrives.
    """

    def __init__(self) -> None:
        self.sums: Counter[tuple[str, ...]] = Counter()
        self.gauges: dict[tuple[str, ...], float] = {}
        self.points: Counter[str] = Counter()
        """The number of values of each metric, by its name."""
        self.lines: list[str] = []
        self.tracked: list[dict[str, Any]] = []
        self.exports = 0
        """Of metrics."""
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def total(self, name: str, *attributes: str) -> float:
        """Of all values of the metric that have these attributes."""
        with self.lock:
            return sum(
                value for key, value in self.sums.items() if key[0] == name and set(attributes) <= set(key)
            )

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                answer = collector.take(self.path, body)
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Prints no requests."""

        return Handler

    def take(self, path: str, body: bytes) -> bytes:
        """Takes what was posted, and returns the body of the answer."""
        with self.lock:
            if path == "/v1/metrics":
                self._metrics(ExportMetricsServiceRequest.FromString(body))
                self.exports += 1
            elif path == "/v1/logs":
                request = ExportLogsServiceRequest.FromString(body)
                for resource in request.resource_logs:
                    for scope in resource.scope_logs:
                        self.lines += [one.body.string_value for one in scope.log_records]
            elif path.endswith("/track"):
                items = orjson.loads(body)
                self.tracked += items
                return orjson.dumps({"itemsReceived": len(items), "itemsAccepted": len(items), "errors": []})
        return b""

    def _metrics(self, request: ExportMetricsServiceRequest) -> None:
        for resource in request.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    kind = str(metric.WhichOneof("data"))
                    data = getattr(metric, kind)
                    assert kind == "gauge" or data.aggregation_temporality == 1, "no deltas"
                    self.points[metric.name] += len(data.data_points)
                    for point in data.data_points:
                        labels = sorted(f"{one.key}={one.value.string_value}" for one in point.attributes)
                        key = (metric.name, *labels)
                        if kind == "histogram":
                            self.sums[key] += point.count
                            self.sums[(f"{metric.name} sum", *labels)] += point.sum
                            continue
                        value = getattr(point, point.WhichOneof("value"))
                        if kind == "gauge":
                            self.gauges[key] = value
                        else:
                            self.sums[key] += value
