"""`convert` writes the output that the function app would write for the same records."""

import gzip
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest

from shared import __main__
from shared.convert.convert import arrival
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.websocket_connection_logs import RECORDS
from tests.shared.exported import record

ROOT = Path(__file__).resolve().parents[3]
FIXTURES = ROOT / "tests" / "fixtures" / "records"
EXPECTED: dict[str, dict[str, Any]] = json.loads((FIXTURES / "expected.json").read_text())
DAMAGED = {"gzip_bomb.json.gz", "gzip_checksum.json.gz", "gzip_truncated.json.gz"}
NOTHING = {"blank.json", "empty.json"}
AGES = {
    name
    for name, expected in EXPECTED.items()
    if any(one["reason"] == "implausible_time" for one in expected["rejections"])
}

type Run = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process; returns its status, its output and its errors."""
    for name in filter(re.compile("Storage").search, list(os.environ)):
        monkeypatch.delenv(name)

    def running(*arguments: str) -> tuple[int, dict[str, Any], str]:
        status = __main__.main(["convert", *arguments, "--json"])
        output, errors = capsys.readouterr()
        return status, orjson.loads(output) if output else {}, errors

    return running


def lines(number: int) -> bytes:
    return b"\n".join(orjson.dumps(record(number, index)) for index in range(number))


def rows(output: Path, table: str) -> list[dict[str, Any]]:
    return [
        row
        for path in sorted(output.glob(f"parquet/{table}/*/*/*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]


def test_each_fixture_converts_as_if_from_the_hub(tmp_path: Path, run: Run) -> None:
    names = sorted(EXPECTED.keys() - DAMAGED - NOTHING - AGES)
    arrived = ("--arrived", "2030-01-02T03:10Z")
    status, done, errors = run(
        *(str(FIXTURES / name) for name in names), *arrived, "--output", str(tmp_path / "out")
    )
    assert {EXPECTED[name]["enqueued"] for name in names} == {1_893_553_800_000_000}
    assert errors == ""
    assert status == 1
    expected = [EXPECTED[name] for name in names]
    assert done["rows"] == sum(len(one["rows"]) for one in expected)
    assert done["skipped"] == sum(one["skipped"] for one in expected)
    assert sum(done["rejected"].values()) == sum(len(one["rejections"]) for one in expected)
    found = [row["CorrelationId"] for row in rows(tmp_path / "out", RECORDS.name)]
    assert sorted(found) == sorted(row["CorrelationId"] for one in expected for row in one["rows"])


def test_records_become_rows_connections_and_json(tmp_path: Path, run: Run) -> None:
    partition = tmp_path / "y=2030/m=03/d=17/h=16/m=00/PT1H.json"
    partition.parent.mkdir(parents=True)
    partition.write_bytes(lines(7) + b"\nnot JSON\n")
    output = tmp_path / "out"
    status, done, _ = run(str(partition), "--output", str(output), "--format", "parquet,json")
    assert (status, done["records"], done["rows"], done["connections"]) == (1, 8, 7, 7)
    assert sum(done["rejected"].values()) == 1
    assert len(rows(output, RECORDS.name)) == 7
    assert len(rows(output, CONNECTIONS.name)) == 7
    (line_file,) = output.glob("json/*Logs/*/*/*.gz")
    assert len(gzip.decompress(line_file.read_bytes()).splitlines()) == 7
    (letter,) = output.glob("_dead_letters/date=2030-03-17/hour=17/*.gz")
    assert b"not JSON" in gzip.decompress(letter.read_bytes()) or b"bm90IEpTT04" in gzip.decompress(
        letter.read_bytes()
    )


def test_standard_input_is_read_and_arrival_can_be_given(tmp_path: Path) -> None:
    arguments = ("-", "--output", str(tmp_path / "out"), "--arrived", "2030-03-17T18:00Z")
    ran = subprocess.run(
        [sys.executable, "-m", "shared", "convert", *arguments, "--json"],
        cwd=ROOT,
        input=gzip.compress(lines(3)),
        capture_output=True,
        check=True,
    )
    done = orjson.loads(ran.stdout)
    assert (done["rows"], done["rejected"]) == (3, {})
    (seen,) = {row["_EnqueuedTime"].isoformat() for row in rows(tmp_path / "out", RECORDS.name)}
    assert seen == "2030-03-17T18:00:00+00:00"


def test_unclosed_connections_time_out_if_others_closed(tmp_path: Path, run: Run) -> None:
    some = [record(number, 0) for number in range(150)]
    ends = [each | {"properties": {"eventName": "ConnectionClosed"}} for each in some[:20]]
    (tmp_path / "records.json").write_bytes(b"\n".join(map(orjson.dumps, [*some, *ends])))
    arguments = ("--output", str(tmp_path / "out"), "--arrived", "2030-03-17T18:00Z")
    status, done, _ = run(str(tmp_path / "records.json"), *arguments)
    assert (status, done["connections"]) == (0, 150)
    found = Counter(row["Status"] for row in rows(tmp_path / "out", CONNECTIONS.name))
    assert found == {"timed_out": 130, "closed": 20}


def test_columns_can_be_given_other_keys(tmp_path: Path, run: Run) -> None:
    (tmp_path / "records.json").write_bytes(lines(3).replace(b'"time"', b'"when"'))
    arguments = ("--output", str(tmp_path / "out"), "--arrived", "2030-03-17T18:00Z")
    keys = ("--column-keys", "TimeGenerated=when")
    status, done, _ = run(str(tmp_path / "records.json"), *arguments, *keys)
    assert (status, done["rows"], done["rejected"]) == (0, 3, {})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.json"], "missing.json is not a file"),
        (["damaged.gz"], "damaged.gz cannot be read"),
        (["good.json", "--output", "."], ". is not an empty folder"),
        (["good.json", "--format", "csv"], "unknown format csv"),
        (["good.json", "--column-keys", "EventName"], "expected columns with keys, such as EventName="),
        (["good.json", "--column-keys", "Name=x"], "'Name' is not a column that records fill"),
    ],
)
def test_unreadable_input_ends_with_status_2(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.json").write_bytes(lines(1))
    Path("damaged.gz").write_bytes(gzip.compress(lines(9))[:-9])
    if "--output" not in arguments:
        arguments = [*arguments, "--output", "out"]
    try:
        status = __main__.main(["convert", *arguments])
    except SystemExit as stop:
        status = int(stop.code or 0)
    assert status == 2
    assert says in capsys.readouterr().err


def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    program = (
        "import resource, sys; from shared.__main__ import main; main(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    for copies in (1, 4):
        partition = tmp_path / f"{copies}.json"
        with partition.open("wb") as file:
            for number in range(copies * 40):
                file.write(b"\n".join(orjson.dumps(record(number, index)) for index in range(1000)) + b"\n")
        output = str(tmp_path / f"out{copies}")
        done = subprocess.run(
            [sys.executable, "-c", program, "convert", str(partition), "--output", output],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout.split()[-1]))
    assert peaks[1] < 1.5 * peaks[0]


def test_an_archive_arrived_at_the_end_of_its_hour(tmp_path: Path) -> None:
    path = Path("x/y=2026/m=11/d=20/h=09/m=00/PT1H.json")
    assert arrival(path) == datetime(2026, 11, 20, 10, tzinfo=UTC).timestamp() * 1_000_000
    other = tmp_path / "other.json"
    other.write_bytes(b"")
    os.utime(other, (1_900_000_000, 1_900_000_000))
    assert arrival(other) == 1_900_000_000 * 1_000_000
