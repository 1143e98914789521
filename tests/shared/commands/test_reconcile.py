"""A workspace export with the same rows passes, and any difference is reported."""

import csv
import gzip
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared import __main__
from shared.commands.reconcile import SHOWN
from shared.policies import RedactionPolicy
from shared.tables.websocket_connection_logs import RECORDS
from tests import records
from tests.records import EPOCH
from tests.shared.exported import POLICY, Exported, envelope, record

TENANT = "11111111-2222-3333-4444-555555555555"
URL = "wss://h/chat?room=7&access_token=hunter2hunter2"


def source(number: int, index: int) -> dict[str, Any]:
    """A record as it reaches the hub."""
    made = record(number, index)
    time = datetime.fromtimestamp(1_900_000_000 + 7 * number + index, UTC)
    made["time"] = f"{time:%Y-%m-%dT%H:%M:%S}.123{number % 10}567Z"
    made["properties"]["source"] = URL if index else "10.0.0.1"
    return made


SOURCES = [source(number, index) for number in range(40) for index in range(3)]


def workspace(made: dict[str, Any]) -> dict[str, Any]:
    """Returns the same record as a workspace stores it."""
    properties = made["properties"]
    return {
        "TenantId": TENANT,
        "TimeGenerated": made["time"],
        "CorrelationId": made["correlationId"],
        "EventName": properties["eventName"],
        "Source": properties["source"],
        "_ResourceId": made["resourceId"].lower(),
        "_BilledSize": 321,
        "_IsBillable": "True",
        "Type": RECORDS.name,
    }


ROWS = [workspace(made) for made in SOURCES]


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    """Writes CSV like the portal: zone in the header, another time format, CRLF, a byte order mark."""
    text = io.StringIO()
    names = ["TimeGenerated [UTC]" if name == "TimeGenerated" else name for name in ROWS[0]]
    writer = csv.writer(text, dialect="excel")
    writer.writerow(names)
    for row in rows:
        time = datetime.fromisoformat(row["TimeGenerated"])
        stamp = (
            f"{time.month}/{time.day}/{time.year}, {time:%I:%M:%S}.{time.microsecond // 1000:03d} {time:%p}"
        )
        writer.writerow([stamp if name == "TimeGenerated" else value for name, value in row.items()])
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def as_lines(rows: list[dict[str, Any]]) -> bytes:
    return b"\n".join(orjson.dumps(row) for row in rows)


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    times = [datetime.fromisoformat(row["TimeGenerated"][:26] + "Z") for row in rows]
    table = pa.Table.from_pylist(
        [row | {"TimeGenerated": time} for row, time in zip(rows, times, strict=True)]
    )
    data = io.BytesIO()
    pq.write_table(table, data)
    return data.getvalue()


WRITERS: dict[str, Callable[[list[dict[str, Any]]], bytes]] = {
    "csv": as_csv,
    "csv.gz": lambda rows: gzip.compress(as_csv(rows)),
    "jsonl": as_lines,
    "json": lambda rows: json.dumps(rows, indent=1).encode(),
    "parquet": as_parquet,
}


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reconcile")
    (folder / "PT1H.json").write_bytes(as_lines(SOURCES))
    arguments = ["convert", str(folder / "PT1H.json"), "--output", str(folder / "out")]
    arguments += ["--format", "parquet,json", "--arrived", "2030-03-17T19:00Z"]
    assert __main__.main(arguments) == 0
    return folder / "out"


@pytest.fixture
def run(
    converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, dict[str, Any]]]:
    def made(data: bytes, *more: str, folder: Path = converted) -> tuple[int, dict[str, Any]]:
        file = tmp_path / "export"
        file.write_bytes(data)
        capsys.readouterr()
        status = __main__.main(
            ["reconcile", "--against", str(file), "--folder", str(folder), "--json", *more]
        )
        out = capsys.readouterr().out
        return status, orjson.loads(out) if out else {}

    return made


type Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.mark.parametrize("form", WRITERS)
def test_an_equal_export_matches_in_every_format(run: Run, form: str) -> None:
    status, found = run(WRITERS[form](ROWS))
    assert (status, found["same"], found["export"], found["container"]) == (0, True, 120, 120)
    assert found["columns"] == ["TimeGenerated", "CorrelationId", "EventName", "Source", "_ResourceId"]
    assert set(found["left_out"]) == {"TenantId", "_BilledSize", "_IsBillable"}


@pytest.mark.parametrize("form", WRITERS)
def test_missing_and_extra_records_are_shown_with_their_minutes(run: Run, form: str) -> None:
    more = ROWS[50] | {"CorrelationId": "nobody-knows-it"}
    status, found = run(WRITERS[form]([*ROWS[:7], *ROWS[8:], more]))
    assert (status, found["same"], found["export"], found["container"]) == (1, False, 120, 120)
    (missing,) = found["missing"]
    assert (missing["values"][1], missing["times"]) == ("nobody-knows-it", 1)
    (extra,) = found["extra"]
    assert extra["values"][1:3] == [ROWS[7]["CorrelationId"], ROWS[7]["EventName"]]
    assert {minute["export"] - minute["container"] for minute in found["minutes"]} == {1, -1}


def test_a_duplicated_record_is_reported(run: Run) -> None:
    status, found = run(as_lines([*ROWS, ROWS[3], ROWS[3]]))
    assert status == 1
    assert [one["times"] for one in found["missing"]] == [2]
    assert found["extra"] == []


def test_secrets_of_the_export_are_compared_as_markers(
    converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "export.jsonl"
    file.write_bytes(as_lines(ROWS[:-1]))
    status = __main__.main(["reconcile", "--against", str(file), "--folder", str(converted)])
    out = capsys.readouterr().out
    assert status == 1
    assert "1 record is extra in the container" in out
    assert "hunter2" not in out
    assert "[redacted:parameter]" in out


def test_a_column_that_always_differs_is_named_and_optional(run: Run) -> None:
    data = as_lines([row | {"EventName": row["EventName"].upper()} for row in ROWS])
    status, found = run(data)
    assert status == 1
    assert found["minutes"] == []
    assert found["suspects"] == {"EventName": 120}
    status, found = run(data, "--ignore", "EventName")
    assert status == 0
    assert found["left_out"]["EventName"] == "left out with --ignore"


def test_records_outside_the_range_are_left_out(run: Run) -> None:
    inside = [row for row in ROWS if "T17:48" <= row["TimeGenerated"][10:] < "T17:50"]
    assert 0 < len(inside) < len(ROWS)
    day = ROWS[0]["TimeGenerated"][:10]
    span = ("--since", f"{day}T17:48Z", "--until", f"{day}T17:50Z")
    status, found = run(as_lines(ROWS), *span)
    assert (status, found["export"], found["container"]) == (0, len(inside), len(inside))
    assert run(as_lines(inside), *span)[0] == 0
    status, found = run(as_lines(inside), "--since", f"{day}T17:40Z", "--until", f"{day}T17:50Z")
    assert status == 1


def test_hashed_columns_are_compared_only_with_the_key(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = "0123456789abcdef"
    policy = replace(POLICY, redaction=RedactionPolicy(hash_columns=("Source",), hash_key=key.encode()))
    made = [record(0, index) for index in range(3)]
    for index, one in enumerate(made):
        one["properties"]["source"] = f"10.0.0.{index}"
    exported.export([records.envelope(0, EPOCH, *made)], policy)
    for name, value in exported.environment.items():
        monkeypatch.setenv(name, value)
    rows = [workspace(one) for one in made]

    def status(rows: list[dict[str, Any]]) -> int:
        (tmp_path / "export.jsonl").write_bytes(as_lines(rows))
        return __main__.main(["reconcile", "--against", str(tmp_path / "export.jsonl")])

    assert status(rows) == 0
    assert "not by Source: hashed in the container; set HASH_COLUMNS" in capsys.readouterr().out
    monkeypatch.setenv("HASH_COLUMNS", "Source")
    monkeypatch.setenv("HASH_KEY", key)
    assert status(rows) == 0
    assert "not by Source" not in capsys.readouterr().out
    assert status([rows[0] | {"Source": "10.0.0.9"}, *rows[1:]]) == 1


def test_dropped_columns_are_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROP_COLUMNS", "Source")
    status, found = run(as_lines(ROWS))
    assert status == 0
    assert "DROP_COLUMNS" in found["left_out"]["Source"]


def test_json_lines_are_read_if_there_is_no_parquet(run: Run, converted: Path, tmp_path: Path) -> None:
    only = tmp_path / "json"
    shutil.copytree(converted, only)
    for path in only.rglob("*.parquet"):
        path.unlink()
    assert run(as_lines(ROWS), folder=only)[0] == 0
    assert run(as_lines(ROWS[1:]), folder=only)[0] == 1


def test_an_export_without_rows_needs_both_ends_of_the_range(run: Run) -> None:
    whole = {"--since": "2030-03-17", "--until": "2030-03-18"}
    for option, value in whole.items():
        assert run(as_csv([]), option, value) == (2, {})
    assert run(as_csv([]), *chain.from_iterable(whole.items()))[0] == 1


def test_long_lists_are_cut_and_the_rest_is_counted(
    run: Run, converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = as_lines([*ROWS[:1], *({**row, "CorrelationId": "other"} for row in ROWS[-1:])])
    _, found = run(data)
    extra = len(found["extra"])
    assert extra > SHOWN
    __main__.main(["reconcile", "--against", str(tmp_path / "export"), "--folder", str(converted)])
    out = capsys.readouterr().out
    assert f"… {extra - SHOWN} more of them" in out


def test_a_file_to_compare_with_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        __main__.main(["reconcile", "--folder", "."])
    assert (stop.value.code, "--against" in capsys.readouterr().err) == (2, True)


def test_azures_metric_is_shown_next_to_the_connections(
    run: Run, converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metric = tmp_path / "metric.json"
    points = [
        {"timeStamp": ROWS[0]["TimeGenerated"][:16] + ":00Z", "total": 30.0},
        {"timeStamp": ROWS[60]["TimeGenerated"][:16] + ":00Z", "total": 10.0},
        {"timeStamp": "2020-01-01T00:00:00Z", "total": 500.0},
    ]
    metric.write_bytes(orjson.dumps({"value": [{"timeseries": [{"data": points}]}]}))
    _, found = run(as_lines(ROWS), "--metric", str(metric))
    assert found["attempts"] == 40
    number = len({row["CorrelationId"] for row in ROWS})
    capsys.readouterr()
    arguments = ["--against", str(tmp_path / "export"), "--folder", str(converted), "--metric", str(metric)]
    assert __main__.main(["reconcile", *arguments]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert (
        f"40 connection attempts according to Azure's metric; {number} connections in the export, {number} in"
        in text
    )
    (tmp_path / "export").write_bytes(
        as_lines([{key: value for key, value in row.items() if key != "CorrelationId"} for row in ROWS])
    )
    __main__.main(["reconcile", *arguments])
    assert "without CorrelationId, connections cannot be counted" in " ".join(capsys.readouterr().out.split())
    metric.write_text("[]")
    assert run(as_lines(ROWS), "--metric", str(metric))[0] == 2


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "cannot be read as CSV"),
        (b"\x1f\x8bbroken", "cannot be read as CSV"),
        (b"PAR1broken", "cannot be read as CSV"),
        (b'{"TimeGenerated":', "cannot be read as CSV"),
        (b"a,b\n1,2\n", "has no column TimeGenerated; it has a, b"),
        (b'{"TimeGenerated":"yesterday"}', "column TimeGenerated: expected a time, got 'yesterday'"),
        (b"TimeGenerated\n", "has no rows; set --since and --until"),
    ],
)
def test_another_file_is_a_one_line_error(
    converted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, problem: str
) -> None:
    file = tmp_path / "export"
    file.write_bytes(data)
    assert __main__.main(["reconcile", "--against", str(file), "--folder", str(converted)]) == 2
    output = capsys.readouterr().err
    assert problem in output
    assert len(output.splitlines()) == 1


def test_rows_that_a_swap_shows_twice_count_once(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported.export([envelope(sequence) for sequence in range(10)])
    (name, *_) = exported.files(f"parquet/{RECORDS.name}/")
    for key, value in exported.environment.items():
        monkeypatch.setenv(key, value)
    rows = [
        row
        for file in exported.files(f"parquet/{RECORDS.name}/")
        for row in pq.read_table(io.BytesIO(exported.read(file))).to_pylist()
    ]
    exported.copy(name, name.replace(".part.", "-again.part."))
    export = [
        {"TimeGenerated": row["TimeGenerated"].isoformat(), "CorrelationId": row["CorrelationId"]}
        for row in rows
    ]
    file = tmp_path / "export.jsonl"
    file.write_bytes(as_lines(export))
    assert __main__.main(["reconcile", "--against", str(file)]) == 0
