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
from shared.input.envelope import Envelope
from shared.policies import Connection
from shared.settings import Settings
from shared.timeunits import MINUTE
from tests import records as made
from tests.records import PARTITION, TEN

SIZE = 1 << 20


def record(identity: str, minute: int = 0, **more: str) -> dict[str, object]:
    at = TEN - (60 - minute) * MINUTE
    return made.record(at, identity, "MessageReceived", resourceId=made.RESOURCE, **more)


def records(seed: int) -> bytes:
    """Ordinary records, each with a separate id."""
    partition = random.Random(seed)
    one = len(orjson.dumps(record(str(uuid.UUID(int=0))))) + 1
    texts = (record(str(uuid.UUID(int=partition.getrandbits(128))), n % 60) for n in range(SIZE // one - 1))
    return made.body(*texts)


def wide(seed: int) -> bytes:
    """One record with a text that cannot be compressed."""
    text = random.Random(seed).randbytes(SIZE * 3 // 8).hex()
    return made.body(record("wide", location=text))


def rejected(seed: int) -> bytes:
    """Bytes that cannot be read."""
    return random.Random(seed).randbytes(SIZE)


def numbers(_: int) -> bytes:
    """As many values as possible that are not records."""
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
    envelopes = [Envelope(n, TEN, KINDS[kind](n)) for n in range(int(count))]
    commits = exporter.run(PARTITION, envelopes)
    assert sum(one.counts.envelopes for one in commits) == len(envelopes)
    # Not getrusage, which inherits its peak from the parent process (proc(5), getrusage(2)).
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) // 1024


if __name__ == "__main__":
    sys.stdout.write(f"{main(*sys.argv[1:])}\n")
