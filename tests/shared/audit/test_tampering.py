"""Each kind of tampering is found by the mode of the audit that docs/audit-and-replay.md names.

`python -m tests.shared.audit.test_tampering` writes the table in that page.
"""

import gzip
import io
import sys
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.audit.evidence import Level
from shared.compaction.compactor import Compactor
from shared.connections import manifest
from shared.connections.manifest import Manifest
from shared.connections.timer import Finisher
from shared.digests import chained
from shared.export.exporter import Exporter
from shared.policies import CompactionPolicy, FinishPolicy
from shared.protocol.ledger import Ledger
from shared.tables import connection_revisions, websocket_connection_logs
from shared.timeunits import HOUR, SECOND
from tests.audits import audited
from tests.memory import MemoryStorage, Output, StillHub
from tests.records import EPOCH, PARTITION
from tests.shared.exported import POLICY, envelopes

PAGE = Path(__file__).resolve().parents[3] / "docs" / "audit-and-replay.md"
BEGIN = "| tampering | file | quick | full |"
RECORDS = websocket_connection_logs.RECORDS.name
CONNECTIONS = connection_revisions.CONNECTIONS.name
SMALL = {
    "records, Parquet": f"parquet/{RECORDS}/",
    "records, JSON Lines": f"json/{RECORDS}/",
    "dead letters": "_dead_letters/",
    "connections, Parquet": f"parquet/{CONNECTIONS}/",
    "connections, JSON Lines": f"json/{CONNECTIONS}/",
}
COMPACTED = {
    "records, compacted": f"parquet/{RECORDS}/",
    "connections, compacted": f"parquet/{CONNECTIONS}/",
}
FILES = SMALL | COMPACTED
PARQUET = {kind for kind in FILES if not kind.endswith(("Lines", "letters"))}

NOT_READ = "the bytes of Parquet files are not read"
NO_SECOND_PLACE = "only the file itself knows its checksum"
ONE_PLACE = "only the ledger counts what such envelopes held"
ALL_REWRITTEN = "all evidence was rewritten"


@pytest.fixture(scope="module")
def containers() -> tuple[MemoryStorage, MemoryStorage]:
    return made()


def made() -> tuple[MemoryStorage, MemoryStorage]:
    """Returns the output of export and finishing, and the same after compaction."""
    clock = count(EPOCH + 60 * SECOND, SECOND)
    storage = MemoryStorage(lambda: next(clock))
    ids = count(1)

    def new_id() -> str:
        return f"{next(ids):032x}"

    exporter = Exporter(storage, POLICY, 1 << 24, storage.now, new_id)
    policy = FinishPolicy(formats=("parquet", "json"), closing=(), idle=timedelta(seconds=1))
    finisher = Finisher(storage, StillHub(), policy, storage.now, new_id)
    for first in range(0, 49, 7):
        exporter.run(PARTITION, envelopes(first, first + 6))
        assert finisher.run(60).complete
    compacted = deepcopied(storage)
    now = EPOCH + 6 * HOUR
    compacting = CompactionPolicy(reach=timedelta(days=1), target=1 << 20)
    assert Compactor(compacted, compacting, lambda: now, new_id).run(600).swaps
    return storage, compacted


def deepcopied(storage: MemoryStorage) -> MemoryStorage:
    copied = MemoryStorage(storage.now)
    copied.state, copied.output = dict(storage.state), deepcopy(storage.output)
    return copied


# -- the container, as an attacker sees it -------------------------------------------------------------


def files(storage: MemoryStorage, kind: str) -> list[str]:
    wanted = kind in COMPACTED
    return [
        name
        for name in sorted(storage.output)
        if name.startswith(FILES[kind]) and ("/compacted-" in name) == wanted
    ]


def elsewhere(name: str) -> str:
    return (
        name.replace("/hour=", "/hour=0", 1).replace("/hour=0", "/hour=", 1)
        if "/hour=0" in name
        else (name[: name.index("/hour=")] + "/hour=05" + name[name.index("/hour=") + 8 :])
    )


def rows(storage: MemoryStorage, name: str) -> list[dict[str, Any]]:
    data = storage.output[name].data or b""
    if name.endswith(".parquet"):
        found: list[dict[str, Any]] = pq.read_table(io.BytesIO(data)).to_pylist()
        return found
    return [orjson.loads(line) for line in gzip.decompress(data).splitlines()]


def rewrite(storage: MemoryStorage, name: str, changed: list[dict[str, Any]]) -> None:
    """Writes other rows, and keeps footers and everything else."""
    if name.endswith(".parquet"):
        data = storage.output[name].data or b""
        schema = pq.read_schema(io.BytesIO(data))
        sink = io.BytesIO()
        writer = pq.ParquetWriter(sink, schema)
        writer.write_table(pa.Table.from_pylist(changed, schema=schema))
        writer.add_key_value_metadata(
            {
                key.decode(): value.decode()
                for key, value in pq.read_metadata(io.BytesIO(data)).metadata.items()
                if key != b"ARROW:schema"
            }
        )
        writer.close()
        storage.output[name].data = sink.getvalue()
    else:
        lines = b"".join(orjson.dumps(row) + b"\n" for row in changed)
        storage.output[name].data = gzip.compress(lines, mtime=0)


def vouch(storage: MemoryStorage, name: str) -> None:
    """Updates the size and checksum in the metadata to those of the bytes."""
    blob = storage.output[name]
    assert blob.data is not None
    blob.metadata = blob.metadata | {"bytes": str(len(blob.data)), "sha256": sha256(blob.data).hexdigest()}


def change_value(storage: MemoryStorage, name: str) -> None:
    changed = rows(storage, name)
    column = next(
        one for one in ("CallerIpAddress", "EndReason", "enqueued", "_ResourceId") if one in changed[0]
    )
    changed[0][column] = "2030-01-01T00:00:00.000000Z"
    rewrite(storage, name, changed)


def many(storage: MemoryStorage, kind: str) -> str:
    """A file with two rows or more."""
    return next(name for name in files(storage, kind) if len(rows(storage, name)) > 1)


def pair(storage: MemoryStorage, kind: str, *, equal: bool) -> tuple[str, str]:
    """Two files with equal or different numbers of rows."""
    found = {name: len(rows(storage, name)) for name in files(storage, kind)}
    return next(
        (one, two) for one in found for two in found if one < two and (found[one] == found[two]) == equal
    )


def swap_contents(storage: MemoryStorage, one: str, two: str) -> None:
    blobs = storage.output
    blobs[one].data, blobs[two].data = blobs[two].data, blobs[one].data


def edit_ledger(storage: MemoryStorage, **counts: int) -> None:
    name = Ledger.name(PARTITION)
    ledger = Ledger.parse(storage.state[name].data, name)
    rejected = dict(ledger.counts.rejected)
    for reason in rejected:
        rejected[reason] += counts.pop("rejected", 0)
    changed = {one: getattr(ledger.counts, one) + more for one, more in counts.items()}
    edited = ledger.counts.model_copy(update={**changed, "rejected": rejected})
    storage.put(name, ledger.model_copy(update={"counts": edited}).dump())


# -- the manipulations ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tampering:
    """A manipulation of a container, and the result of each mode of the audit."""

    what: str
    act: Callable[[MemoryStorage, str], None]
    """Takes the container and the kind of file."""
    kinds: tuple[str, ...]
    quick: str | dict[str, str]
    """The code of a finding, or why there is none; for each kind of file if they differ."""
    full: str | dict[str, str]

    def expected(self, kind: str, *, deep: bool) -> str:
        """Returns the expected result for this kind of file."""
        metadata = self.full if deep else self.quick
        return metadata if isinstance(metadata, str) else metadata[kind]


def move(storage: MemoryStorage, kind: str) -> None:
    name = files(storage, kind)[0]
    storage.output[elsewhere(name)] = storage.output.pop(name)


def move_and_say_so(storage: MemoryStorage, kind: str) -> None:
    name = files(storage, kind)[0]
    blob = storage.output[elsewhere(name)] = storage.output.pop(name)
    blob.metadata = blob.metadata | {"folder": elsewhere(name).rpartition("/")[0] + "/"}


def swap_equal(storage: MemoryStorage, kind: str) -> None:
    swap_contents(storage, *pair(storage, kind, equal=True))


def swap_unequal(storage: MemoryStorage, kind: str) -> None:
    swap_contents(storage, *pair(storage, kind, equal=False))


def edit(storage: MemoryStorage, kind: str) -> None:
    change_value(storage, files(storage, kind)[0])


def edit_and_vouch(storage: MemoryStorage, kind: str) -> None:
    name = files(storage, kind)[0]
    change_value(storage, name)
    vouch(storage, name)


def double(storage: MemoryStorage, kind: str) -> None:
    name = many(storage, kind)
    first, *others = rows(storage, name)
    rewrite(storage, name, [first, first, *others[1:]])


def renumber(storage: MemoryStorage, kind: str) -> None:
    name = many(storage, kind)
    changed = rows(storage, name)
    changed[0]["_RecordIndex"] = 99
    rewrite(storage, name, changed)
    vouch(storage, name)


def drop(storage: MemoryStorage, kind: str) -> None:
    name = many(storage, kind)
    rewrite(storage, name, rows(storage, name)[1:])
    vouch(storage, name)
    blob = storage.output[name]
    blob.metadata = blob.metadata | {"rows": str(int(blob.metadata["rows"]) - 1)}


def copy(storage: MemoryStorage, kind: str) -> None:
    name = files(storage, kind)[0]
    storage.output[elsewhere(name)] = deepcopy(storage.output[name])


def copy_beside(storage: MemoryStorage, kind: str) -> None:
    name = files(storage, kind)[0]
    folder, _, file = name.rpartition("/")
    storage.output[f"{folder}/copied-{file}"] = deepcopy(storage.output[name])


def delete(storage: MemoryStorage, kind: str) -> None:
    del storage.output[files(storage, kind)[0]]


def cut(storage: MemoryStorage, kind: str) -> None:
    blob = storage.output[files(storage, kind)[0]]
    blob.data = (blob.data or b"")[:-30]


def add(storage: MemoryStorage, kind: str) -> None:
    name = files(storage, kind)[0]
    folder, _, file = name.rpartition("/")
    storage.output[f"{folder}/by-hand-{file}"] = Output(storage.output[name].data)


def edit_body(storage: MemoryStorage, kind: str) -> None:
    name = files(storage, kind)[0]
    changed = rows(storage, name)
    changed[0]["body" if "body" in changed[0] else "body_base64"] = "e30="
    rewrite(storage, name, changed)


def edit_metadata(storage: MemoryStorage, kind: str) -> None:
    blob = storage.output[files(storage, kind)[0]]
    blob.metadata = blob.metadata | {"program_version": "9.9.9"}


def raise_rows(storage: MemoryStorage, _: str) -> None:
    edit_ledger(storage, records=1, rows=1)


def raise_rejected(storage: MemoryStorage, _: str) -> None:
    edit_ledger(storage, records=len(POLICY.formats), rejected=1)


def raise_skipped(storage: MemoryStorage, _: str) -> None:
    edit_ledger(storage, records=1, skipped=1)


def raise_skipped_unseen(storage: MemoryStorage, _: str) -> None:
    ids = count(10_000)
    exporter = Exporter(storage, POLICY, 1 << 24, storage.now, lambda: f"{next(ids):032x}")
    exporter.run(PARTITION, envelopes(52, 52))
    edit_ledger(storage, records=1, skipped=1)


def edit_chain(storage: MemoryStorage, _: str) -> None:
    name = Ledger.name(PARTITION)
    ledger = Ledger.parse(storage.state[name].data, name)
    storage.put(name, ledger.model_copy(update={"chain": "1" * 64}).dump())


def edit_manifest(storage: MemoryStorage, _: str) -> None:
    state = Manifest.parse(storage.state[manifest.NAME].data)
    storage.put(manifest.NAME, state.model_copy(update={"written_files": state.written_files + 1}).dump())


def forge(storage: MemoryStorage, kind: str) -> None:
    """Edits a value in the newest commit, and adapts the chain value in the ledger."""
    name = max(files(storage, kind), key=lambda one: int(storage.output[one].metadata["ordinal"]))
    change_value(storage, name)
    vouch(storage, name)
    commit_id = storage.output[name].metadata["commit_id"]
    commit = [one for one in storage.outputs("") if one.metadata["commit_id"] == commit_id]
    ledger = Ledger.parse(storage.state[Ledger.name(PARTITION)].data, "ledger")
    assert ledger.chain != chained("", commit)
    chain = {"chain": chained("", commit)}
    storage.put(Ledger.name(PARTITION), ledger.model_copy(update=chain).dump())


def flip(storage: MemoryStorage, kind: str) -> None:
    """Changes one byte of a value in the last page of a Parquet file's first column."""
    blob = storage.output[files(storage, kind)[0]]
    damaged = bytearray(blob.data or b"")
    place = len(damaged) // 2
    if kind in PARQUET:
        column = pq.read_metadata(io.BytesIO(damaged)).row_group(0).column(0)
        begin = column.dictionary_page_offset or column.data_page_offset
        place = begin + column.total_compressed_size - 1
    damaged[place] ^= 1
    blob.data = bytes(damaged)


ALL, EXPORTED = tuple(FILES), tuple(SMALL)
ROWS = tuple(kind for kind in FILES if kind != "dead letters")
OF_RECORDS = ("records, Parquet", "records, JSON Lines", "records, compacted")


TAMPERINGS = [
    Tampering("moved to another hour", move, ALL, "moved", "moved"),
    Tampering(
        "moved to another hour, `folder` in its metadata changed, too",
        move_and_say_so,
        ALL,
        {kind: "moved" if kind in COMPACTED else "altered" for kind in ALL},
        {kind: "moved" if kind in COMPACTED else "altered" for kind in ALL},
    ),
    Tampering(
        "bytes of two files swapped, with equal numbers of rows",
        swap_equal,
        EXPORTED,
        "content_differs",
        "content_differs",
    ),
    Tampering(
        "bytes of two files swapped, with unequal numbers of rows",
        swap_unequal,
        ("records, Parquet", "records, JSON Lines"),
        "content_differs",
        "content_differs",
    ),
    Tampering(
        "a value changed, the size of the file with it", edit, ALL, "content_differs", "content_differs"
    ),
    Tampering(
        "a value changed, size and checksum in the metadata made to match",
        edit_and_vouch,
        ALL,
        {kind: NO_SECOND_PLACE if kind in COMPACTED else "altered" for kind in ALL},
        {kind: NO_SECOND_PLACE if kind in COMPACTED else "altered" for kind in ALL},
    ),
    Tampering(
        "a byte flipped",
        flip,
        ALL,
        {kind: NOT_READ if kind in PARQUET else "damaged" for kind in ALL},
        {kind: "content_differs" if kind in PARQUET else "damaged" for kind in ALL},
    ),
    Tampering("a row doubled and another one dropped", double, ROWS, "content_differs", "content_differs"),
    Tampering(
        "a row dropped; rows, size and checksum in the metadata made to match",
        drop,
        ROWS,
        {kind: "rows_differ" if kind in COMPACTED else "altered" for kind in ROWS},
        {kind: "rows_differ" if kind in COMPACTED else "altered" for kind in ROWS},
    ),
    Tampering(
        "`_RecordIndex` of a row changed, size and checksum made to match",
        renumber,
        OF_RECORDS,
        {kind: NO_SECOND_PLACE if kind in COMPACTED else "altered" for kind in OF_RECORDS},
        {kind: NO_SECOND_PLACE if kind in COMPACTED else "altered" for kind in OF_RECORDS},
    ),
    Tampering(
        "a value in the newest commit changed, metadata and the chain value of the ledger made to match",
        forge,
        ("records, Parquet", "records, JSON Lines"),
        ALL_REWRITTEN,
        ALL_REWRITTEN,
    ),
    Tampering("copied into another hour", copy, ALL, "too_many_files", "too_many_files"),
    Tampering("copied under another name", copy_beside, ALL, "too_many_files", "too_many_files"),
    Tampering("deleted", delete, ALL, "missing_files", "missing_files"),
    Tampering("cut off", cut, ALL, "damaged", "damaged"),
    Tampering("a file added that no commit made", add, ALL, "foreign_file", "foreign_file"),
    Tampering(
        "the body of a dead letter changed",
        edit_body,
        ("dead letters",),
        "content_differs",
        "content_differs",
    ),
    Tampering("a value in the metadata changed", edit_metadata, EXPORTED, "altered", "altered"),
    Tampering(
        "`records` and `rows` of a ledger raised together",
        raise_rows,
        ("ledger",),
        "rows_differ",
        "rows_differ",
    ),
    Tampering(
        "`records` and `rejected` of a ledger raised together",
        raise_rejected,
        ("ledger",),
        "counts_differ",
        "counts_differ",
    ),
    Tampering(
        "`records` and `skipped` of a ledger raised together",
        raise_skipped,
        ("ledger",),
        "counts_differ",
        "counts_differ",
    ),
    Tampering(
        "the same after envelopes that left no file",
        raise_skipped_unseen,
        ("ledger",),
        ONE_PLACE,
        ONE_PLACE,
    ),
    Tampering("the chain value of a ledger changed", edit_chain, ("ledger",), "altered", "altered"),
    Tampering(
        "the counts of the manifest changed", edit_manifest, ("manifest",), "missing_files", "missing_files"
    ),
]
WHY = {NOT_READ, NO_SECOND_PLACE, ONE_PLACE, ALL_REWRITTEN}


def cases() -> Iterator[Any]:
    for tampering in TAMPERINGS:
        for kind in tampering.kinds:
            for deep in (False, True):
                yield pytest.param(
                    tampering, kind, deep, id=f"{tampering.act.__name__}-{kind}-{'full' if deep else 'quick'}"
                )


def container(containers: tuple[MemoryStorage, MemoryStorage], kind: str) -> MemoryStorage:
    small, compacted = containers
    return deepcopied(compacted if kind in COMPACTED else small)


def codes(storage: MemoryStorage, *, deep: bool) -> set[str]:
    report = audited(storage, deep=deep)
    found = [
        one for partition in report.partitions for one in partition.findings if one.level is not Level.NOTE
    ]
    assert bool(found) == (report.status != 0)
    return {one.code for one in found}


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("kind", ["records, Parquet", "records, compacted"])
def test_an_untouched_container_is_proven(
    containers: tuple[MemoryStorage, MemoryStorage], kind: str, *, deep: bool
) -> None:
    assert codes(container(containers, kind), deep=deep) == set()


@pytest.mark.parametrize(("tampering", "kind", "deep"), [*cases()])
def test_tampering_is_found_as_documented(
    containers: tuple[MemoryStorage, MemoryStorage], tampering: Tampering, kind: str, *, deep: bool
) -> None:
    storage = container(containers, kind)
    tampering.act(storage, kind)
    expected = tampering.expected(kind, deep=deep)
    found = codes(storage, deep=deep)
    if expected in WHY:
        assert found == set()
    else:
        assert expected in found


@pytest.mark.parametrize("kind", ALL)
def test_any_flipped_byte_is_found(containers: tuple[MemoryStorage, MemoryStorage], kind: str) -> None:
    storage = container(containers, kind)
    name = files(storage, kind)[0]
    whole = storage.output[name].data
    assert whole
    places = [len(whole) // 2]
    if name.endswith(".parquet"):
        group = pq.read_metadata(io.BytesIO(whole)).row_group(0)
        places = [
            (one.dictionary_page_offset or one.data_page_offset) + one.total_compressed_size - 1
            for one in (group.column(number) for number in range(group.num_columns))
        ]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1
        storage.output[name].data = bytes(damaged)
        assert {"content_differs", "damaged"} & codes(storage, deep=True), place
        if kind not in PARQUET:
            assert {"content_differs", "damaged"} & codes(storage, deep=False)
        else:
            assert codes(storage, deep=False) == set(), place


def outcome(expected: str) -> str:
    return f"*not found*: {expected}" if expected in WHY else f"`{expected}`"


def table() -> str:
    lines = [BEGIN, "| --- | --- | --- | --- |"]
    for tampering in TAMPERINGS:
        by_outcome: dict[tuple[str, str], list[str]] = {}
        for kind in tampering.kinds:
            modes = [outcome(tampering.expected(kind, deep=deep)) for deep in (False, True)]
            by_outcome.setdefault((modes[0], modes[1]), []).append(kind)
        for (quick, full), kinds in by_outcome.items():
            shown = "every kind" if len(kinds) == len(ALL) else "; ".join(kinds)
            lines.append(f"| {tampering.what} | {shown} | {quick} | {full} |")
    return "\n".join(lines) + "\n"


def test_the_page_lists_the_tested_manipulations() -> None:
    assert table() in PAGE.read_text()


if __name__ == "__main__":
    before, _, after = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + table() + after[after.index("\n\n") + 1 :])
    sys.stdout.write(f"{PAGE}\n")
