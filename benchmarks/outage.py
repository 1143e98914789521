"""Measures how long a commit takes if storage answers some requests with 503, with Azurite behind a proxy."""

import time
import uuid
from itertools import count

from azure.storage.blob import BlobServiceClient

from benchmarks.timing import Figure
from benchmarks.workload import PARTITION, envelopes
from local.emulators.azurite import Azurite
from shared.azure import blob_storage
from shared.export.exporter import Exporter
from shared.policies import Connection, ExportPolicy
from tests.campaigns.faults.proxy import Proxy

FAILING = (0, 1, 2, 3)
"""Numbers of consecutive requests that fail, from the ledger write on; a commit waits for each step."""
ROUNDS = 5


def measured() -> dict[str, Figure]:
    """Returns the seconds that a commit takes, by the number of consecutive responses that fail."""
    with Azurite() as azurite, Proxy(azurite.port, 1) as proxy:
        return {
            f"commit with {failing} failing answers": Figure(
                [_seconds(azurite, proxy, failing) for _ in range(ROUNDS)], "s"
            )
            for failing in FAILING
        }


def _seconds(azurite: Azurite, proxy: Proxy, failing: int) -> float:
    name = uuid.uuid4().hex
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        for kind in ("state", "output"):
            service.create_container(f"{name}-{kind}")
    proxy.calm()
    connection = Connection(string=azurite.connection_string.replace(str(azurite.port), str(proxy.port)))
    through = blob_storage.connect(connection, connection, f"{name}-state", f"{name}-output")
    exporter = Exporter(
        through, ExportPolicy(), 1 << 26, lambda: time.time_ns() // 1000, lambda: uuid.uuid4().hex
    )
    writes = count()

    def fate(request: str) -> str:
        writing = request.startswith("PUT ") and "/ledgers/" in request
        return "503" if writing and next(writes) < failing else ""

    proxy.choose = fate
    batch = envelopes(10, 50)
    began = time.perf_counter()
    exporter.run(PARTITION, batch)
    return time.perf_counter() - began
