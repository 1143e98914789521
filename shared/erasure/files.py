"""Counts the matching rows and dead letters of a file, and stages the file without them."""

from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import orjson

from shared import __version__
from shared.audit import contents
from shared.compaction import erasures, replaced_files, rewriting
from shared.compaction.replaced_files import ReplacedFile
from shared.erasure.selection import Selection, without_body
from shared.errors import DamagedFile
from shared.input.gzip_bodies import inflate
from shared.input.rejections import Unreadable
from shared.output import json_lines
from shared.policies import Compression, MiB
from shared.protocol.ledger import PendingFile
from shared.protocol.stamp import Stamp
from shared.protocol.storage import DEAD_LETTERS, BlobInfo, Storage
from shared.tables.registry import table_of
from shared.tables.table import VERSION, Table

MAX_INFLATED = 64 * MiB
"""Maximum size of a compressed message that is searched."""


def matches(storage: Storage, selection: Selection, file: BlobInfo) -> int:
    """Returns the number of matching rows or dead letters of a file. Raises DamagedFile, StorageError."""
    if file.name.startswith(f"{DEAD_LETTERS}/"):
        return sum(_is_hit(selection, line) for line in contents.lines(storage, file))
    table = _table(file)
    if not file.name.endswith(".parquet"):
        return sum(selection.line(table, line) for line in contents.texts(storage, file))

    def wanted(group: Any) -> bool:
        held = (group.column(number) for number in range(group.num_columns))
        return any(
            selection.may_hold(table, one.statistics)
            for one in held
            if one.path_in_schema == selection.column
        )

    columns = [selection.column, table.time_column]
    pieces = contents.columns(storage, file, columns, wanted)
    return sum(selection.rows(table, piece).true_count for piece in pieces)


def without(
    storage: Storage,
    selection: Selection,
    file: BlobInfo,
    name: str,
    stamp: Stamp,
    compression: Compression,
) -> PendingFile:
    """Stages a file without its matching rows under another name. Raises DamagedFile."""
    if file.name.endswith(".parquet"):
        table = _table(file)
        staged, _ = rewriting.rewrite(
            storage, table, [file], name, stamp, compression, lambda rows: selection.rows(table, rows)
        )
        return staged
    return _text(storage, selection, file, name, stamp)


def _text(storage: Storage, selection: Selection, file: BlobInfo, name: str, stamp: Stamp) -> PendingFile:
    """Like `without`, for JSON Lines files and dead letters."""
    fetched = contents.Fetched(storage, file)
    if contents.sha256(fetched, file) != file.metadata["sha256"]:
        raise DamagedFile(f"{file.name}: its bytes differ from those that were written; run the audit")
    if "compacted" in file.metadata:
        (origin,) = contents.files_replaced(fetched, file)
    else:
        origin = ReplacedFile(file.name, file.metadata)
    letters = file.name.startswith(f"{DEAD_LETTERS}/")
    counted = _Counted(erasures.erased(file), int(file.metadata.get("letters", "0")))
    lines = (
        _letters(selection, fetched, file, counted) if letters else _rows(selection, fetched, file, counted)
    )
    blocks = rewriting.Blocks(storage, name, stamp.commit_id)
    blocks.write(json_lines.pack(lines))
    blocks.stage()
    return PendingFile(
        name=name,
        block_ids=tuple(blocks.ids),
        content_type=json_lines.CONTENT_TYPE,
        metadata={
            "compacted": "1",
            "commit_id": stamp.commit_id,
            "committed_at": str(stamp.now),
            "rows": str(counted.rows),
            "bytes": str(blocks.size),
            "folder": name[: name.rindex("/") + 1],
            "sha256": blocks.digest.hexdigest(),
            "erased": str(counted.erased),
            **({"letters": str(counted.letters)} if letters else {}),
            replaced_files.KEY: replaced_files.dump([origin]),
            "schema_version": str(VERSION),
            "program_version": __version__,
        },
        staged_at=stamp.now,
    )


class _Counted:
    """Counts the lines that were omitted so far, and those that remain."""

    def __init__(self, erased: int, letters: int) -> None:
        self.erased, self.letters, self.rows = erased, letters, 0


def _rows(
    selection: Selection, fetched: contents.Fetched, file: BlobInfo, counted: _Counted
) -> Iterator[bytes]:
    table = _table(file)
    for line in contents.texts(fetched, file):
        if selection.line(table, line):
            counted.erased += 1
        else:
            counted.rows += 1
            yield line + b"\n"


def _letters(
    selection: Selection, fetched: contents.Fetched, file: BlobInfo, counted: _Counted
) -> Iterator[bytes]:
    """Yields every line, erased ones without their bodies, so that the audit finds all counted rejections."""
    for line in contents.texts(fetched, file):
        letter = json_lines.parse_line(line)
        counted.rows += 1
        if _is_hit(selection, letter):
            counted.letters += 1
            yield orjson.dumps(without_body(letter)) + b"\n"
        else:
            yield line + b"\n"


def _is_hit(selection: Selection, letter: dict[str, Any]) -> bool:
    if letter.get("erased"):
        return False
    text = letter.get("body_base64")
    body = b64decode(text) if text is not None else str(letter.get("body", "")).encode()
    with suppress(Unreadable):  # a body that cannot be inflated is searched as it is
        body = inflate(body, MAX_INFLATED)
    return selection.letter(letter, body)


def _table(file: BlobInfo) -> Table:
    table = table_of(file.name)
    assert table
    return table
