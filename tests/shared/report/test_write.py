"""The command writes a report from storage, rejects wrong ranges, and overwrites no other file."""

import base64
import gzip
import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest

from shared import __main__
from shared.compaction.compactor import Compactor
from shared.errors import FileGone, OutcomeUnknown
from shared.policies import CompactionPolicy
from shared.report.locations import Container, Range
from shared.report.write import TRIES, write
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.gateway_logs import GATEWAY_LOGS
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import HOUR, SECOND
from tests.memory import CountingStorage, Output
from tests.records import EPOCH, PARTITION
from tests.shared.exported import Exported, envelopes
from tests.shared.report import made

if TYPE_CHECKING:
    from shared.compaction.summary import Swapped

ROOT = Path(__file__).resolve().parents[3]
BEGIN = 1_795_053_600


def data(page: Path) -> dict[str, list[list[object]]]:
    """Returns the sums inside a page."""
    found = re.search(r'<script type="application/gzip" id="data">(.*?)</script>', page.read_text())
    assert found
    loaded: dict[str, list[list[object]]] = orjson.loads(gzip.decompress(base64.b64decode(found[1])))
    return loaded


def test_without_access_to_dead_letters_rejections_are_unknown(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (exported.environment | {"DEAD_LETTER_CONTAINER": "denied"}).items():
        monkeypatch.setenv(name, value)
    exported.export(envelopes(0, 20))
    output = tmp_path / "report.html"
    arguments = ["report", "--since", "2030-03-17T16:00Z", "--until", "2030-03-17T18:00Z"]
    assert __main__.main([*arguments, "--output", str(output)]) == 0
    assert "The report has no rejections. Container 'denied' does not exist" in capsys.readouterr().out
    page = data(output)
    assert page["grid"]["letters"] is False  # type: ignore[call-overload]
    assert page["rejections"] == []
    assert page["records"][0][0] == exported.ledger().counts.rows


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    made.write(tmp_path / "copy", CONNECTIONS, [made.connection("a", BEGIN, 5)], "EndTime")
    made.write(tmp_path / "copy", RECORDS, [made.record("a", BEGIN, 60)], "TimeGenerated")
    return tmp_path / "copy"


def run(copy: Path, output: Path, *more: str) -> int:
    return __main__.main(
        ["report", "--folder", str(copy), "--since", "2026-11-01", "--output", str(output), *more]
    )


def test_a_page_shows_everything_in_a_container(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in exported.environment.items():
        monkeypatch.setenv(name, value)
    exported.export(envelopes(0, 20))
    output = tmp_path / "report.html"
    arguments = ["report", "--since", "2030-03-17T16:00Z", "--until", "2030-03-17T18:00Z"]
    assert __main__.main([*arguments, "--output", str(output)]) == 0
    counts = exported.ledger().counts
    found = data(output)
    assert found["records"] == [[counts.rows]]
    assert {reason: number for reason, number, _ in found["reasons"]} == counts.rejected
    assert {row[0] for row in found["delays"]} == {"hub", "exporter"}
    said = capsys.readouterr()
    assert f"{output}: 0 ended connections, {counts.rows} records" in said.out
    assert str(PARTITION) not in output.read_text()


def test_the_page_says_how_many_connections_have_a_request(copy: Path, tmp_path: Path) -> None:
    output = tmp_path / "report.html"
    assert run(copy, output, "--force") == 0
    assert "CorrelationId." not in output.read_text().partition("<main>")[0]
    row = {"TimeGenerated": BEGIN * SECOND, "CorrelationId": "a", "_ResourceId": f"{made.RESOURCE}one"}
    made.write(copy, GATEWAY_LOGS, [row], "TimeGenerated")
    assert run(copy, output, "--force") == 0
    sentence = "1 of 1 sampled connection that ended in the hour from"
    assert sentence in output.read_text().partition("<main>")[0]


RANGE = Range(EPOCH - HOUR, EPOCH + HOUR)


def test_files_replaced_after_the_listing_are_listed_again(exported: Exported, tmp_path: Path) -> None:
    exported.export(envelopes(0, 49))
    blob = exported.storage.read(exported.ledger_name)
    assert blob
    unlisted = exported.ledger().confirmed("0" * 32, EPOCH)
    exported.storage.write(exported.ledger_name, unlisted.dump(), blob.etag)
    policy = CompactionPolicy(reach=timedelta(days=1))
    compactor = Compactor(exported.storage, policy, lambda: EPOCH + 6 * HOUR, lambda: uuid.uuid4().hex)
    swaps: list[Swapped] = []

    def compacting(step: str, *_: int) -> None:
        if step == "list":
            swaps.extend(compactor.run(60).swaps)

    location, output = Container(exported.storage), tmp_path / "report.html"
    done = write(location, "x", RANGE, output, force=False, progress=compacting)
    assert sum(one.files for one in swaps) > 10
    assert done.records == exported.ledger().counts.rows
    assert done.files == len(exported.files("parquet/")) + len(exported.files("_dead_letters/"))


class Restless(CountingStorage):
    """Every file was replaced before it is read."""

    def call[T](self, kind: str, name: str, effect: Callable[[], T]) -> T:
        if kind == "part":
            self.output[name.replace(".parquet", "-.parquet")] = self.output.pop(name)
        return super().call(kind, name, effect)


def test_endlessly_replaced_files_end_in_an_error(tmp_path: Path) -> None:
    storage, output = Restless(), tmp_path / "report.html"
    storage.output[f"parquet/{RECORDS.name}/date=2030-03-17/hour=17/a.parquet"] = Output(b"x")
    with pytest.raises(FileGone, match="was deleted or compacted in the meantime; try again"):
        write(Container(storage), "x", RANGE, output, force=False, progress=lambda *_: None)
    assert storage.calls["part"] == TRIES
    assert not output.exists()


def test_a_failed_storage_call_is_not_repeated(tmp_path: Path) -> None:
    class Failing(CountingStorage):
        def call[T](self, kind: str, name: str, effect: Callable[[], T]) -> T:
            found = super().call(kind, name, effect)
            if kind == "part":
                raise OutcomeUnknown("no answer")
            return found

    storage = Failing()
    storage.output[f"parquet/{RECORDS.name}/date=2030-03-17/hour=17/a.parquet"] = Output(b"x")
    with pytest.raises(OutcomeUnknown):
        write(Container(storage), "x", RANGE, tmp_path / "a", force=False, progress=lambda *_: None)
    assert storage.calls["part"] == 1


def test_a_damaged_file_is_an_error_and_leaves_no_page(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (file,) = (copy / "parquet" / CONNECTIONS.name).rglob("*.parquet")
    file.write_bytes(file.read_bytes()[:-20])
    assert run(copy, tmp_path / "report.html") == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert file.relative_to(copy).as_posix() in said
    assert not (tmp_path / "report.html").exists()
