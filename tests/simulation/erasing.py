"""One of two clients is erased from a network, again and again: what must go, and what must stay."""

import gzip
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from shared.connections import observations
from shared.erasure.erasure import Erasure
from shared.erasure.selection import Selection
from shared.policies import CompactionPolicy
from shared.protocol.storage import DEAD_LETTERS
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.websocket_connection_logs import RECORDS
from tests.audits import audited, findings
from tests.simulation.traffic import HIM, PARTITIONS, Key, is_his

if TYPE_CHECKING:
    from tests.simulation.network import Network

HIS = Selection("Source", (HIM,))
FORMATS = ("parquet", "json")
type Origin = tuple[str, int, int]
"""Partition, sequence number and index of a record. A re-created hub has some of them again."""


def erasure(network: "Network") -> Erasure:
    """What an operator runs."""
    return Erasure(network.storage, CompactionPolicy(), HIS, lambda: network.now, network.new_id)


def erase_the_rest(network: "Network") -> Iterator[str]:
    """Erases what is left at rest; yields what cannot be erased, or is found again."""
    done = erasure(network).erase(lambda *_: None)
    yield from (f"left by the last eraser: {name} {reason}" for name, reason in done.files.left.items())
    yield from (*done.files.unreadable, *done.files.alarms)
    found = erasure(network).find(lambda *_: None)
    if found.anything or found.waiting:
        yield f"was not erased: {found}"


def violations(network: "Network") -> Iterator[str]:
    """The invariants that do not hold, in words: exactly his rows are gone, and the audit proves it."""
    hers = Counter(origin for origin, key in _sent(network) if not is_his(key))
    maybe = Counter(origin for origin, _ in _in_erased_letters(network))
    connections = []
    for format_ in FORMATS:
        rows = [*_rows(network, f"{format_}/{RECORDS.name}/")]
        seen = Counter(_origin(row) for row in rows)
        for origin in hers.keys() | seen.keys():
            if not hers[origin] - maybe[origin] <= seen[origin] <= hers[origin]:
                yield f"{format_}: {origin} is there {seen[origin]} times, not {hers[origin]}"
        finished = [*_rows(network, f"{format_}/{CONNECTIONS.name}/")]
        connections.append(
            Counter((row["CorrelationId"], row["CommitId"], row["Revision"]) for row in finished)
        )
        if any(row["Source"] == HIM for row in (*rows, *finished)):
            yield f"{format_}: a row of his is there"
    if connections[0] != connections[1]:
        yield "formats have different rows of connections"
    for name, blob in network.storage.state.items():
        if name.endswith(".arrow") and HIS.state(observations.load(blob.data)).any():
            yield f"the state holds observations of his: {name}"
    if any(f'"{HIM}"' in str(letter) for letter in _rows(network, f"{DEAD_LETTERS}/")):
        yield "a dead letter mentions him"
    yield from (finding.message for finding in findings(audited(network.storage)))


def excused(network: "Network") -> set[Key]:
    """The other client's connections that may lack records: those were rejected in a message with his."""
    return {key for _, key in _in_erased_letters(network)}


def _sent(network: "Network") -> Iterator[tuple[Origin, Key]]:
    for partition, envelopes in network.traffic.envelopes.items():
        for envelope in envelopes:
            for index, record in enumerate(orjson.loads(envelope.body)["records"]):
                key = record["resourceId"], record["correlationId"]
                yield (str(partition), envelope.sequence, index), key


def _in_erased_letters(network: "Network") -> Iterator[tuple[Origin, Key]]:
    """Records of the other client that can no longer be replayed."""
    partitions = {str(partition): partition for partition in PARTITIONS}
    for letter in _rows(network, f"{DEAD_LETTERS}/"):
        if letter.get("erased"):
            envelopes = network.traffic.envelopes[partitions[letter["partition"]]]
            at = letter["sequence"] + ((network.anew or 0) if letter["incarnation"] else 0)
            records = orjson.loads(envelopes[at].body)["records"]
            indexes = [
                index for first, last in letter["rejected_indexes"] for index in range(first, last + 1)
            ]
            for index in indexes:
                record = records[index]
                key = record["resourceId"], record["correlationId"]
                if not is_his(key):
                    yield (letter["partition"], letter["sequence"], index), key


def _origin(row: dict[str, Any]) -> Origin:
    return row["_EventHubPartition"], row["_SequenceNumber"], row["_RecordIndex"]


def _rows(network: "Network", prefix: str) -> Iterator[dict[str, Any]]:
    for name, blob in network.storage.output.items():
        if name.startswith(prefix) and blob.data is not None:
            if name.endswith(".parquet"):
                yield from pq.ParquetFile(pa.BufferReader(blob.data)).read().to_pylist()
            else:
                yield from map(orjson.loads, gzip.decompress(blob.data).splitlines())
