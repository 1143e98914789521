"""A format is a declaration: a made-up one is written, counted and read like the others."""

import io
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pytest

from shared import settings
from shared.audit.audit import WRONG, Report
from shared.export.exporter import Exporter
from shared.output.formats import FORMATS, Format
from shared.output.lineage import KEY, Keys
from shared.policies import Compression
from tests import audits
from tests.memory import MemoryStorage, Output
from tests.records import EPOCH, PARTITION
from tests.shared.exported import envelopes

MADE_UP = "arrow"


def encode(table: pa.Table, metadata: Mapping[str, str], compression: Compression) -> bytes:  # noqa: ARG001
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def read(file: BinaryIO) -> Any:
    return pa.ipc.open_file(pa.BufferReader(file.read())).read_all()


def read_keys(file: BinaryIO) -> Iterator[Keys]:
    partitions, sequences, indexes = read(file).select(KEY).columns
    yield set(partitions.to_pylist()), np.asarray(sequences), np.asarray(indexes)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = Format(
        MADE_UP,
        "part.arrow",
        "application/vnd.apache.arrow.file",
        encode,
        lambda file: int(read(file).num_rows),
        read_keys,
    )
    monkeypatch.setitem(FORMATS, MADE_UP, declared)
    for name, value in {
        "OUTPUT_FORMATS": f"parquet,{MADE_UP}",
        "EventHubConnection__fullyQualifiedNamespace": "space.servicebus.windows.net",
        "EVENT_HUB_NAME": "logs",
        "EVENT_HUB_CONSUMER_GROUP": "exporter",
        "OutputStorage__blobServiceUri": "https://account.blob.core.windows.net",
    }.items():
        monkeypatch.setenv(name, value)


def exported() -> MemoryStorage:
    storage = MemoryStorage(lambda: EPOCH)
    ids = iter(range(1, 1000))
    policy = settings.load().export_policy
    Exporter(storage, policy, 1 << 24, lambda: EPOCH, lambda: f"{next(ids):032x}").run(
        PARTITION, envelopes(0, 5)
    )
    return storage


def audited(storage: MemoryStorage) -> Report:
    return audits.audited(storage)


@pytest.mark.usefixtures("made_up")
def test_a_declared_format_is_written_and_the_audit_counts_it() -> None:
    storage = exported()
    names = [name for name in storage.output if name.startswith(f"{MADE_UP}/")]
    assert names
    assert all(name.endswith(".part.arrow") for name in names)
    report = audited(storage)
    assert report.status == 0, report
    (found,) = report.partitions
    assert (
        sum(read(io.BytesIO(storage.output[name].data or b"")).num_rows for name in names)
        == found.counts.rows
    )
    assert found.rows == 2 * found.counts.rows > 0


@pytest.mark.usefixtures("made_up")
def test_missing_rows_in_a_declared_format_are_found() -> None:
    storage = exported()
    name = next(name for name in storage.output if name.startswith(f"{MADE_UP}/"))
    whole = storage.output[name]
    fewer = encode(read(io.BytesIO(whole.data or b"")).slice(1), {}, "snappy")
    storage.output[name] = Output(fewer, whole.metadata)
    report = audited(storage)
    assert report.status == WRONG
    assert "rows_differ" in {finding.code for one in report.partitions for finding in one.findings}


def test_file_names_end_with_the_kind_of_file() -> None:
    assert {name: one.extension for name, one in FORMATS.items()} == {
        "parquet": "part.parquet",
        "json": "part.jsonl.gz",
    }
