"""The laws of connections that must hold in a network of sources, after everything has arrived."""

from collections import Counter
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from shared import connections
from shared.schema import CONNECTIONS
from tests.simulation.network import Network, read
from tests.simulation.traffic import SOURCES


def written(network: Network) -> pa.Table:
    """Every row of every visible file of connections."""
    tables = [CONNECTIONS.arrow.empty_table()]
    for name, blob in network.storage.output.items():
        if blob.data is not None and f"/{CONNECTIONS.name}/" in name:
            table = read(blob.data)
            assert table.num_rows == int(blob.metadata["rows"])
            tables.append(table)
    return pa.concat_tables(tables)


def broken(network: Network) -> Iterator[str]:
    """The laws that do not hold, in words."""
    yield from network.too_late[:3]
    truth = network.traffic.truth
    rows = sum(ledger.counts.rows for source in SOURCES if (ledger := network.ledger(source)))
    if rows != network.traffic.records:
        yield f"{rows} records committed, not {network.traffic.records}"
    head = network.head()
    for part in head.parts:
        left = connections.load(network.storage.state[part.name].data)
        if pc.any(left["pending"]).as_py():
            yield f"not finished: {left.filter(left['pending']).to_pylist()[:3]}"
    if head.lost or head.totals.capped or head.totals.missing:
        yield f"lost: {head.lost}, {head.totals}"

    table = written(network)
    columns = (
        "_ResourceId",
        "CorrelationId",
        "FirstSeen",
        "Revision",
        "StartTime",
        "EndTime",
        "EventCount",
        "Status",
    )
    values = [
        table[name].cast(pa.int64()).to_pylist()
        if pa.types.is_timestamp(table[name].type)
        else table[name].to_pylist()
        for name in columns
    ]
    found: dict[tuple[str, str], dict[int, list[tuple[int, int, int, int, str]]]] = {}
    for resource, correlation, seen, *row in zip(*values, strict=True):
        found.setdefault((resource, correlation), {}).setdefault(seen, []).append(tuple(row))
    problems: Counter[str] = Counter()
    for key, true in truth.items():
        revisions = found.pop(key, {})
        for one in revisions.values():
            one.sort()
            if [row[0] for row in one] != list(range(len(one))):
                problems[f"revisions are not 0 to n, once each: {key} {one}"] += 1
        last = [one[-1] for one in revisions.values()]
        count = sum(row[3] for row in last)
        if not last:
            problems[f"missing: {key}"] += 1
        elif count != true.records:
            problems[f"counted {count} records, not {true.records}: {key} {revisions}"] += 1
        elif (min(row[1] for row in last), max(row[2] for row in last)) != (true.start, true.end):
            problems[f"wrong start or end: {key} {true} {revisions}"] += 1
        elif len(last) == 1 and last[0][4] != ("closed" if true.closed else "timed_out"):
            problems[f"wrong status: {key} {true} {revisions}"] += 1
        network.seen["split"] += len(last) > 1
        network.seen["revised"] += any(len(one) > 1 for one in revisions.values())
        network.seen["first row incomplete"] += any(one[0][3] != one[-1][3] for one in revisions.values())
    problems.update(f"made up: {key}" for key in found)
    if problems:
        yield f"{problems.total()} connections are wrong"
        yield from list(problems)[:5]
