"""Exports envelopes of 1 MB with the default settings, and prints the peak memory of the process in MB.

Run it as a separate process: `python -m tests.campaigns.fuzz.footprint <kind> <number of envelopes>
<storage connection string> <container>`.
"""

import random
import re
import sys
import time
import uuid
from pathlib import Path

import orjson

from shared.azure import blob_storage
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope, HubPartition
from shared.policies import Connection
from shared.settings import Settings

NOW = 1_795_168_800_000_000
SIZE = 1 << 20


def record(identity: str, minute: int = 0, **more: str) -> dict[str, object]:
    """One record."""
    return {
        "time": f"2026-11-20T09:{minute:02}:00.1234567Z",
        "category": "WebSocketConnectionLogs",
        "correlationId": identity,
        "resourceId": "/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.APIMANAGEMENT/SERVICE/A",
        "properties": {"eventName": "MessageReceived"},
        **more,
    }


def records(seed: int) -> bytes:
    """Records as they usually are, each with an id of its own."""
    partition = random.Random(seed)
    one = len(orjson.dumps(record(str(uuid.UUID(int=0))))) + 1
    texts = (record(str(uuid.UUID(int=partition.getrandbits(128))), n % 60) for n in range(SIZE // one - 1))
    return orjson.dumps({"records": list(texts)})


def wide(seed: int) -> bytes:
    """One record, with a text that nothing makes smaller."""
    text = random.Random(seed).randbytes(SIZE * 3 // 8).hex()
    return orjson.dumps({"records": [record("wide", location=text)]})


def rejected(seed: int) -> bytes:
    """Nothing that could be read."""
    return random.Random(seed).randbytes(SIZE)


def numbers(_: int) -> bytes:
    """As many records as fit that are none."""
    return b'{"records":[' + b"1," * (SIZE // 2 - 10) + b"1]}"


KINDS = {one.__name__: one for one in (records, wide, rejected, numbers)}


def main(kind: str, count: str, connection: str, container: str) -> int:
    """Returns the peak memory of this process in MB."""
    settings = Settings(
        EventHubConnection="-", EVENT_HUB_NAME="-", EVENT_HUB_CONSUMER_GROUP="-", OutputStorage=connection
    )
    where = Connection(string=connection)
    store = blob_storage.connect(where, where, container, container)
    exporter = Exporter(
        store,
        settings.export_policy,
        settings.MEMORY_BUDGET,
        lambda: time.time_ns() // 1000,
        lambda: uuid.uuid4().hex,
    )
    envelopes = [Envelope(n, NOW, KINDS[kind](n)) for n in range(int(count))]
    commits = exporter.run(HubPartition("ns", "hub", "0"), envelopes)
    assert sum(one.counts.envelopes for one in commits) == len(envelopes)
    # getrusage would not do: it inherits its peak from the parent process (proc(5), getrusage(2)).
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) // 1024


if __name__ == "__main__":
    sys.stdout.write(f"{main(*sys.argv[1:])}\n")
