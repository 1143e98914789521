"""The invariants of connections that must hold in a network of partitions, after everything has arrived."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from shared.connections import observations
from shared.protocol.ledger import Ledger
from shared.tables.connection_revisions import CONNECTIONS
from shared.timeunits import HOUR, MINUTE
from tests.simulation import erasing
from tests.simulation.network import Network, read
from tests.simulation.traffic import Key, Truth, is_his

GRACE = 15 * MINUTE
LATE = 6 * HOUR


class Row(NamedTuple):
    """A written row; times in µs."""

    revision: int
    start: int
    end: int
    records: int
    last_seen: int
    status: str


COLUMNS = ("Revision", "StartTime", "EndTime", "EventCount", "LastSeen", "Status")


def written(network: Network) -> dict[Key, dict[str, list[Row]]]:
    """Returns the rows of all visible files: the ordered revisions by connection and CommitId."""
    tables = [CONNECTIONS.arrow.empty_table()]
    for name, blob in network.storage.output.items():
        if blob.data is not None and name.startswith(f"parquet/{CONNECTIONS.name}/"):
            tables.append(read(blob.data))
            assert tables[-1].num_rows == int(blob.metadata["rows"])
    table = pa.concat_tables(tables)
    columns = [
        table[name].cast(pa.int64()) if pa.types.is_timestamp(table[name].type) else table[name]
        for name in ("_ResourceId", "CorrelationId", "CommitId", *COLUMNS)
    ]
    found: dict[Key, dict[str, list[Row]]] = {}
    for resource, id_, commit_id, *row in zip(*(column.to_pylist() for column in columns), strict=True):
        found.setdefault((resource, id_), {}).setdefault(commit_id, []).append(Row(*row))
    for revisions in found.values():
        for rows in revisions.values():
            rows.sort()
    return found


def wrong(true: Truth, revisions: Mapping[str, Sequence[Row]]) -> Iterator[str]:
    """Yields the errors in the rows of one connection."""
    last = [rows[-1] for rows in revisions.values()]
    if not last:
        yield "missing"
        return
    if any([row.revision for row in rows] != list(range(len(rows))) for rows in revisions.values()):
        yield "revisions are not 0 to n, once each"
    if sum(row.records for row in last) != true.records:
        yield "records are not counted once each"
    elif (min(row.start for row in last), max(row.end for row in last)) != (true.start, true.end):
        yield "wrong start or end"
    if len(last) == 1:
        (rows,) = revisions.values()
        if last[0].status != ("closed" if true.closed else "timed_out"):
            yield "wrong status"
        if not true.replayed and any(
            row.records != bisect_right(true.arrivals, row.last_seen + GRACE) for row in rows[:-1]
        ):
            yield "written before all was merged that had arrived"
    elif not true.replayed and all(later - earlier <= LATE for earlier, later in pairwise(true.arrivals)):
        yield "more than one row, though no record was late enough"


def violations(network: Network) -> Iterator[str]:
    """Yields descriptions of the invariants that are violated."""
    yield from network.too_late[:3]
    yield from network.too_early[:3]
    names = [name for name in network.storage.state if name.startswith("ledgers/")]
    rows = sum(Ledger.parse(network.storage.state[name].data, name).counts.rows for name in names)
    if rows != network.traffic.records and not network.options.erase:
        yield f"{rows} records committed, not {network.traffic.records}"
    manifest = network.manifest()
    for part in manifest.parts:
        left = observations.load(network.storage.state[part.name].data)
        if pc.any(left["pending"]).as_py():
            yield f"not finished: {left.filter(left['pending']).to_pylist()[:3]}"
    if manifest.lost or manifest.totals.capped or manifest.totals.missing:
        yield f"lost: {manifest.lost}, {manifest.totals}"
    found, truth = written(network), network.traffic.truth
    if network.options.erase:
        yield from network.not_erased
        yield from erasing.violations(network)
        excused = erasing.excused(network)
        truth = {key: true for key, true in truth.items() if not is_his(key) and key not in excused}
        found = {key: rows for key, rows in found.items() if key not in excused}
    problems: Counter[str] = Counter()
    examples = {}
    for key, true in truth.items():
        revisions = found.pop(key, {})
        for problem in wrong(true, revisions):
            problems[problem] += 1
            examples[problem] = f"{key}: {true}, {revisions}"
        network.seen["split"] += len(revisions) > 1
        network.seen["revised"] += any(len(rows) > 1 for rows in revisions.values())
    if found:
        yield f"made up: {list(found)[:3]}"
    for problem, number in problems.items():
        yield f"{number} connections: {problem}, such as {examples[problem]}"
