"""Exports hostile bodies and finishes their connections; prints every log line, then all metrics as JSON.

Run it as a separate process, because a process has only one meter provider:
`python -m tests.campaigns.fuzz.logged <file>…`.
"""

import logging
import sys
from pathlib import Path

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from shared.connections.timer import Finisher
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.policies import ExportPolicy, FinishPolicy
from shared.timeunits import DAY
from tests.memory import MemoryStorage, StillHub
from tests.records import PARTITION, TEN


def main(paths: list[str]) -> None:
    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader], shutdown_on_exit=False))
    logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
    storage = MemoryStorage(lambda: TEN)
    ids = iter(range(1, 10_000))
    exporter = Exporter(storage, ExportPolicy(), 1 << 26, lambda: TEN, lambda: f"{next(ids):032x}")
    exporter.run(
        PARTITION, [Envelope(number, TEN, Path(path).read_bytes()) for number, path in enumerate(paths)]
    )
    clock = [TEN]
    finisher = Finisher(storage, StillHub(), FinishPolicy(), lambda: clock[0], lambda: f"{next(ids):032x}")
    finisher.run(60)
    clock[0] += 2 * DAY
    finisher.run(60)
    data = reader.get_metrics_data()
    assert data
    sys.stdout.write(f"{data.to_json(indent=None)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
