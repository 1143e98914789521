"""A time range selects the right files, in storage and in a folder."""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import pytest

from shared.errors import ReportError
from shared.report.locations import FOLDERS, MARGIN, Container, Day, Folder, Location, Range, ReportFile
from shared.timeunits import HOUR
from tests.memory import MemoryStorage, Output
from tests.records import EPOCH
from tests.shared.exported import Exported, envelopes

NOON = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()) * 1_000_000


def hours(days: Iterable[Day], table: str) -> list[int]:
    return sorted((file.hour - NOON) // HOUR for day in days for file in day.files.get(table, ()))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A file for each hour of three days, and files that are not part of the report."""
    for table, prefix in FOLDERS.items():
        for hour in range(-36, 36):
            moment = datetime.fromtimestamp((NOON + hour * HOUR) // 1_000_000, UTC)
            folder = tmp_path / f"{prefix}date={moment:%Y-%m-%d}/hour={moment:%H}"
            folder.mkdir(parents=True)
            (folder / f"one.{'jsonl.gz' if table == 'letters' else 'parquet'}").touch()
            (folder / "_SUCCESS").touch()
    (tmp_path / "json/date=2026-11-20/hour=12").mkdir(parents=True)
    (tmp_path / "json/date=2026-11-20/hour=12/one.jsonl.gz").touch()
    return tmp_path


def test_a_range_includes_its_hours_and_connections_around_it(copy: Path) -> None:
    range_ = Range(NOON + HOUR // 2, NOON + 2 * HOUR)
    days = Folder(copy).find(range_, lambda _: None).values()
    assert hours(days, "records") == hours(days, "letters") == [0, 1]
    margin = MARGIN // HOUR
    assert hours(days, "connections") == list(range(-margin, 2 + margin))


@pytest.mark.parametrize(
    "range_",
    [
        Range(NOON, NOON + HOUR),
        Range(NOON - 20 * HOUR, NOON + 30 * HOUR),
        Range(NOON - 2000 * HOUR, NOON + 20 * HOUR),
        Range(-1_000_000 * HOUR, NOON + 90_000 * HOUR),
    ],
    ids=["hour", "days", "months", "decades"],
)
def test_a_container_and_a_copy_of_it_give_the_same(copy: Path, range_: Range) -> None:
    storage = MemoryStorage()
    for path in copy.rglob("*.*"):
        if path.is_file():
            storage.output[path.relative_to(copy).as_posix()] = Output(b"x")
    found = Container(storage).find(range_, lambda _: None)
    assert found.keys() == Folder(copy).find(range_, lambda _: None).keys()
    assert names(found) == names(Folder(copy).find(range_, lambda _: None))
    assert names(found)
    assert Container(storage).earliest() == Folder(copy).earliest() == NOON - 36 * HOUR


def test_only_files_of_a_commit_know_its_time_not_replays(exported: Exported) -> None:
    exported.export(envelopes(0, 20))
    range_ = Range(EPOCH - 24 * HOUR, EPOCH + 24 * HOUR)
    files = [
        file
        for day in Container(exported.storage).find(range_, lambda _: None).values()
        for file in day.files["records"]
    ]
    assert files
    for file in files:
        assert file.committed
        assert EPOCH < file.committed < EPOCH + HOUR
    for name in exported.files("parquet/"):
        blob = exported.output.get_blob_client(name)
        metadata = blob.get_blob_properties().metadata
        blob.set_blob_metadata(metadata | {"partition": metadata["partition"] + "~0"})
    days = Container(exported.storage).find(range_, lambda _: None).values()
    assert {file.committed for day in days for file in day.files["records"]} == {None}


def test_staged_files_are_not_listed(exported: Exported) -> None:
    name = f"{FOLDERS['records']}date=2026-11-20/hour=12/one.parquet"
    exported.output.get_blob_client(name).stage_block("00", b"x")
    assert Container(exported.storage).find(Range(NOON, NOON + HOUR), lambda _: None) == {}


def test_files_with_any_name_are_fetched_completely(tmp_path: Path) -> None:
    name = f"{FOLDERS['records']}date=2026-11-20/hour=12/a[1]*?.parquet"
    storage = MemoryStorage()
    storage.output[name] = Output(b"content")
    (tmp_path / "copy" / name).parent.mkdir(parents=True)
    (tmp_path / "copy" / name).write_bytes(b"content")
    places: list[Location] = [Container(storage), Folder(tmp_path / "copy")]
    for at, location in enumerate(places):
        to = tmp_path / str(at)
        to.mkdir()
        (day,) = location.find(Range(NOON, NOON + HOUR), lambda _: None).values()
        fetched: list[int] = []
        (path,) = location.fetch(day.files["records"], to, partial(fetched.append, 1))
        assert len(fetched) == 1
        assert (path.parent, path.read_bytes()) == (to, b"content")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"nowhere is not a folder"):
        Folder(tmp_path / "nowhere")


def names(days: dict[date, Day]) -> list[str]:
    files: list[ReportFile] = [file for day in days.values() for one in day.files.values() for file in one]
    return sorted(file.name for file in files)


def test_other_folders_are_not_listed() -> None:
    prefixes: list[str] = []

    class Noting(MemoryStorage):
        def call[T](self, kind: str, name: str, effect: Callable[[], T]) -> T:
            prefixes.append(name)
            return super().call(kind, name, effect)

    container = Container(Noting())
    container.earliest()
    container.find(Range(NOON - 2000 * HOUR, NOON), lambda _: None)
    assert prefixes
    assert all("/date=" in prefix for prefix in prefixes)
