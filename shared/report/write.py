"""Writes the report for a time range: fetches each day, aggregates, and renders the page."""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from shared.audit.listing import Progress
from shared.clock import now
from shared.errors import FileGone, ReportError
from shared.matching.sample import samples
from shared.report.database import Database, bars, points
from shared.report.locations import Day, Location, Range, ReportFile
from shared.report.page import PageFacts, page
from shared.timeunits import HOUR

SPARE = 64 << 20
"""Free bytes needed on disk in addition to the files of a day."""
TRIES = 5
"""Maximum attempts to fetch the files of a day while compaction replaces some of them."""


@dataclass(frozen=True, slots=True)
class Written:
    """The result."""

    files: int
    size: int
    """Size of the report in bytes."""
    ended: int
    """Connections that ended in the range."""
    records: int
    empty: bool


def write(
    location: Location, name: str, range_: Range, output: Path, *, force: bool, progress: Progress
) -> Written:
    """Writes the report of a range. The page shows `name` as the location.

    Raises:
        ReportError: the range is empty, the file exists (without `force`) or its folder does not,
            a day does not fit on the disk, or a file differs from what was written.
        StorageError: a storage call failed.
        DamagedFile: a sampled file differs from what was written.
    """
    if range_.since >= range_.until:
        raise ReportError("the range is empty: --since must be before --until")
    if output.exists() and not force:
        raise ReportError(f"{output} exists: name another file with --output, or overwrite it with --force")
    if not output.parent.is_dir():
        raise ReportError(f"{output}: the folder {output.parent} does not exist")
    days = location.find(range_, lambda seen: progress("list", seen, 0) if seen % 500 == 0 else None)
    covered = _covered(days, range_)
    with tempfile.TemporaryDirectory(prefix="report-") as temporary:
        folder = Path(temporary)
        with Database(folder, range_) as database:
            number = _load(location, range_, days, database, folder, progress)
            aggregates = database.aggregates(lambda done, total: progress("add up", done, total))
    (records,) = aggregates["records"][0]
    ended = sum(n for *_, n in aggregates["ended"])
    empty = not (aggregates["groups"] or aggregates["rejections"] or records)
    facts = PageFacts(
        range=range_,
        created=now(),
        covered=covered,
        bars=bars(range_),
        points=points(range_),
        origin=name,
        files=number,
        empty=empty,
        earliest=location.earliest() if empty else None,
        dead_letters=location.dead_letters,
        matches=tuple(one.sentence for one in samples(location.files, covered.until)),
        commits=any(leg == "exporter" for leg, *_ in aggregates["delays"]),
    )
    text = page(aggregates, facts)
    _replace(output, text)
    return Written(number, len(text.encode()), ended, records, empty)


def _load(
    location: Location,
    range_: Range,
    days: dict[date, Day],
    database: Database,
    folder: Path,
    progress: Progress,
) -> int:
    """Fetches all files and adds their rows; returns the number of files."""
    total = sum(len(files) for day in days.values() for files in day.files.values())
    done = number = 0

    def fetched() -> None:
        nonlocal done
        done = min(done + 1, total)
        progress("fetch", done, total)

    for at, day in days.items():
        free = shutil.disk_usage(folder).free
        if free < day.size + SPARE:
            raise ReportError(
                f"a day of files needs {day.size + SPARE:,} free bytes in {folder.parent}, but it has "
                f"{free:,}: set TMPDIR to a folder with more space"
            )
        copies = folder / "day"
        copies.mkdir()
        for table, listed in day.files.items():
            relist = partial(_listed, location, range_, at, table)
            files, paths = _fetch(location, listed, relist, copies, fetched)
            number += len(files)
            try:
                match table:
                    case "connections":
                        database.connections(paths)
                    case "records":
                        committed = [file.committed for file in files]
                        database.records(dict(zip(paths, committed, strict=True)))
                    case _:
                        database.letters(paths)
            except ReportError as error:
                text = str(error)
                for path, file in zip(paths, files, strict=True):
                    text = re.sub(rf"{re.escape(str(path))}\b", file.name.replace("\\", r"\\"), text)
                raise ReportError(text) from error
        shutil.rmtree(copies)
    return number


def _fetch(
    location: Location,
    files: Sequence[ReportFile],
    relist: Callable[[], Sequence[ReportFile]],
    to: Path,
    fetched: Callable[[], None],
) -> tuple[Sequence[ReportFile], list[Path]]:
    """Fetches these files, or those of a new listing if compaction has replaced some."""
    for _ in range(TRIES - 1):
        try:
            return files, location.fetch(files, to, fetched)
        except FileGone:
            files = relist()
    return files, location.fetch(files, to, fetched)


def _listed(location: Location, range_: Range, at: date, table: str) -> Sequence[ReportFile]:
    return location.find(range_, lambda _: None).get(at, Day()).files.get(table, [])


def _covered(days: dict[date, Day], range_: Range) -> Range:
    """The part of the range from the first to the last hour with files."""
    hours = [
        file.hour
        for day in days.values()
        for files in day.files.values()
        for file in files
        if range_.since - HOUR < file.hour < range_.until
    ]
    if not hours:
        return range_
    return Range(max(range_.since, min(hours)), min(range_.until, max(hours) + HOUR))


def _replace(output: Path, text: str) -> None:
    """Writes the file atomically, so that nobody can see an incomplete report."""
    beside = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(output)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise ReportError(f"{output} cannot be written: {error.strerror}") from error
