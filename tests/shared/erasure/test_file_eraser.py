"""Exactly the matching rows disappear from files and state, and the audit proves the rest."""

import gzip
import json
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from shared.audit.evidence import Level
from shared.commands import missing_files
from shared.commands.dead_letter_replay import _letter
from shared.compaction import compaction_state
from shared.delta.log import DeltaLog
from shared.erasure import files
from shared.erasure.file_eraser import ATTEMPTS, TOO_RECENT
from shared.erasure.selection import Selection, moment
from shared.errors import PreconditionFailed
from shared.input import redaction
from shared.policies import RedactionPolicy
from shared.protocol.ledger import Ledger
from shared.tables.registry import TABLES as TABLES_BY_NAME
from shared.timeunits import HOUR, SECOND
from tests.audits import findings
from tests.records import LATER, PARTITION
from tests.shared.erasure.made import EXPORTING, HER, HIM, Made, filled

RECORDS = "ApiManagementWebSocketConnectionLogs/"
CONNECTIONS = "ApiManagementWebSocketConnectionRevisions/"
TABLES = [f"{format_}/{table}" for format_ in ("parquet", "json") for table in (RECORDS, CONNECTIONS)]
SELECTION = Selection("Source", (HIM,))


def others(made: Made, prefix: str) -> Counter[str]:
    return Counter(row["CorrelationId"] for row in made.rows(prefix) if row["Source"] != HIM)


@pytest.mark.parametrize("compacted", [False, True])
def test_matching_rows_are_erased_and_the_audit_proves_the_others(compacted: bool) -> None:  # noqa: FBT001
    made = filled()
    if compacted:
        assert not made.compact()
        made.now += 2 * 3600 * 1_000_000
    before = {prefix: others(made, prefix) for prefix in TABLES}
    expected = {
        prefix.rstrip("/"): sum(row["Source"] == HIM for row in made.rows(prefix)) for prefix in TABLES
    }
    done = made.erase(SELECTION)
    assert {name: rows for name, rows in done.rows.items() if name != "_dead_letters"} == expected
    assert not done.left
    assert all(expected.values())
    assert {prefix: made.ids(prefix) for prefix in TABLES} == before
    assert not any(row["Source"] == HIM for prefix in TABLES for row in made.rows(prefix))
    for deep in (False, True):
        report = made.audit(deep=deep)
        assert (report.status, findings(report), findings(report, Level.UNCLEAR)) == (0, [], [])
    (note,) = [one for one in findings(report, Level.NOTE) if one.code == "erased"]
    assert f" {sum(expected.values())} row" in note.message


def letters(made: Made) -> list[dict[str, Any]]:
    return sorted(made.rows("_dead_letters/"), key=lambda letter: letter["sequence"])


def test_an_erased_dead_letter_loses_only_its_body() -> None:
    made = filled()
    before = letters(made)
    done = made.erase(SELECTION)
    after = letters(made)
    erased = [letter for letter in after if letter.get("erased")]
    assert 0 < done.rows["_dead_letters"] == len(erased) < len(after) == len(before)
    said = re.compile(rf'"{re.escape(HIM)}"')
    for old, new in zip(before, after, strict=True):
        assert bool(said.search(old["body"])) == bool(new.get("erased"))
        assert old["counts"] == new["counts"]
        if new.get("erased"):
            assert not {"body", "body_base64", "body_sha256"} & new.keys()
            assert HIM not in repr(new)
        else:
            assert new == old
    assert made.audit().status == 0
    assert made.erase(SELECTION).rows["_dead_letters"] == 0
    letter = _letter(erased[0])
    assert not letter.kept


def test_values_are_found_in_any_encoding_of_a_message() -> None:
    letter = {"enqueued": "2026-11-20T10:00:00.000000Z", "rejections": [{"reason": "r"}]}
    chosen = Selection("Source", ("é:1",))
    inner = orjson.dumps({"source": "é:1"}).decode()
    for body in (
        '{"source": "é:1"}'.encode(),
        b'{"source": "\\u00e9:1"}',
        json.dumps({"log": inner}).encode(),
        json.dumps({"log": json.dumps({"log": json.dumps(inner)})}).encode(),
        b"\xff\xfe" + "é:1".encode("utf-16-le"),
        b"\xff \xc3\xa9:1 \xff",
    ):
        assert chosen.letter(letter, body), body
    for body in (b'{"source": "\\u00e9:10"}', '{"source": "aé:1"}'.encode(), b"", b'"\\u00e9'):
        assert not chosen.letter(letter, body), body
    quoted = letter | {"rejections": [{"reason": "r", "message": 'got "é:1"'}]}
    assert chosen.letter(quoted, b"")
    late = Selection("Source", ("é:1",), since=moment("2026-11-20T10:00:00.000001Z"))
    assert not late.letter(quoted, b"")


def test_a_compressed_message_is_searched() -> None:
    line = {
        "enqueued": "2026-11-20T10:00:00.000000Z",
        "rejections": [],
        "body_base64": b64encode(gzip.compress(HIM.encode())).decode(),
    }
    assert files._is_hit(SELECTION, line)
    assert not files._is_hit(Selection("Source", ("10.0.0.2",)), line)


def test_hashed_values_are_erased_with_plain_ones() -> None:
    key = b"k"
    hashing = RedactionPolicy(hash_columns=("Source",), hash_key=key)
    made = filled()
    made.policy = replace(EXPORTING, redaction=hashing)
    made.export(20, 25)
    made.finish()
    made.now += 6 * HOUR
    his = {HIM, redaction.hashed(HIM, key)}
    assert {row["Source"] for row in made.rows("parquet/" + RECORDS)} == {
        *his,
        HER,
        redaction.hashed(HER, key),
    }
    made.erase(Selection("Source", (HIM,), (redaction.hashed(HIM, key),)))
    for prefix in TABLES:
        assert not his & {row["Source"] for row in made.rows(prefix)}
        assert {row["Source"] for row in made.rows(prefix)} == {HER, redaction.hashed(HER, key)}
    assert made.audit().status == 0


def test_older_rows_stay() -> None:
    made = filled()
    times = sorted(row["TimeGenerated"] for row in made.rows("parquet/" + RECORDS) if row["Source"] == HIM)
    middle = times[len(times) // 2]
    made.erase(Selection("Source", (HIM,), since=int(middle.timestamp()) * SECOND))
    left = [row["TimeGenerated"] for row in made.rows("parquet/" + RECORDS) if row["Source"] == HIM]
    assert sorted(left) == [time for time in times if time < middle]
    assert len({row["CorrelationId"] for row in made.rows("json/" + RECORDS) if row["Source"] == HIM}) == len(
        left
    )
    assert made.audit().status == 0


def test_an_emptied_file_stays_and_is_compacted_like_others() -> None:
    made = filled()
    made.erase(Selection("Source", (HIM, HER)))
    assert not any(made.ids(prefix) for prefix in TABLES)
    assert made.audit().status == 0
    made.export(20, 24)
    made.finish()
    made.now += 6 * HOUR
    assert not made.compact()
    assert set(made.ids("parquet/" + RECORDS)) == set(made.ids("json/" + RECORDS)) != set()
    assert made.audit().status == 0


def test_erased_files_are_compacted_and_erased_again() -> None:
    made = filled()
    made.erase(SELECTION)
    made.now += 2 * HOUR
    assert not made.compact()
    assert len([name for name in made.files() if name.startswith("parquet/" + RECORDS)]) == 2
    assert made.audit().status == 0
    made.now += 2 * HOUR
    left = {prefix: made.ids(prefix) for prefix in TABLES}
    gone = min(made.ids("parquet/" + RECORDS))
    made.erase(Selection("CorrelationId", (gone,)))
    for prefix in TABLES:
        assert made.ids(prefix) == left[prefix] - Counter({gone: 1})
    assert made.audit().status == 0


def test_recent_files_are_left_for_another_run() -> None:
    made = filled()
    made.export(20, 25)
    made.finish()
    first = made.erase(SELECTION)
    assert first.left
    assert set(first.left.values()) == {TOO_RECENT}
    assert made.now < first.until <= made.now + HOUR
    young = [row for row in made.rows("parquet/" + RECORDS) if row["Source"] == HIM]
    assert {row["_SequenceNumber"] for row in young} <= set(range(20, 26))
    assert young
    assert made.audit().status == 0
    made.now = first.until
    assert not made.erase(SELECTION).left
    assert not [row for prefix in TABLES for row in made.rows(prefix) if row["Source"] == HIM]


def test_files_listed_in_a_ledger_are_left() -> None:
    made = Made()
    made.export(0, 5)
    made.now = LATER
    left = made.erase(SELECTION).left
    assert any("is listed in a ledger" in reason for reason in left.values())
    made.finish()
    made.now += 2 * HOUR
    assert not made.erase(SELECTION).left
    assert made.audit().status == 0


def test_redelivery_treats_erased_files_as_complete() -> None:
    made = filled()
    made.erase(Selection("Source", (HIM, HER)))
    blob = made.storage.read(Ledger.name(PARTITION))
    assert blob
    ledger = Ledger.parse(blob.data, "ledger")
    assert missing_files.exported(made.storage, ledger).lacking(ledger) == ()


def test_a_delta_table_changes_in_one_version() -> None:
    made = filled()
    made.compacting = replace(made.compacting, delta=True, keep=timedelta(hours=6))
    assert not made.compact()
    made.now += 2 * HOUR
    found = made.eraser(SELECTION).find(lambda *_: None)
    done = made.erase(SELECTION)
    assert done.rows == found.rows
    assert not done.left
    assert found.kept == done.kept > 0
    assert made.now + HOUR < done.kept_until < made.now + 7 * HOUR
    logs = [DeltaLog(made.storage, TABLES_BY_NAME[name.split("/")[1]], made.tick) for name in TABLES[:2]]
    for delta_log in logs:
        snapshot = delta_log.load()
        assert snapshot
        live = [delta_log.folder + path for paths in snapshot.live.values() for path in paths]
        rows = [row for name in live for row in made.rows(name)]
        assert {row["Source"] for row in rows} == {HER}
        (actions,) = [
            [orjson.loads(line) for line in made.storage.output[name].data.splitlines()]  # type: ignore[union-attr]
            for name in made.storage.output
            if name.startswith(f"{delta_log.folder}_delta_log/0")
            and b'"DELETE"' in (made.storage.output[name].data or b"")
        ][:1]
        changes = [one.get("add") or one.get("remove") for one in actions if not one.get("commitInfo")]
        assert [one["dataChange"] for one in changes] == [True, True]
    assert made.audit().status == 0
    kept = [name for name in made.files() if any(row.get("Source") == HIM for row in made.rows(name))]
    assert len(kept) == done.kept
    made.now = done.kept_until
    assert not made.compact()
    assert not [name for name in kept if name in made.files()]


# -- the state table -----------------------------------------------------------------------------------


@pytest.mark.parametrize("refusals", [1, ATTEMPTS - 1, ATTEMPTS])
def test_a_refused_replacement_is_tried_again_before_it_fails(
    refusals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = filled()
    call, left = made.storage.call, [refusals]

    def refusing[T](kind: str, name: str, effect: Callable[[], T]) -> T:
        if kind == "write" and name == compaction_state.NAME and left[0]:
            left[0] -= 1
            raise PreconditionFailed("another instance was faster")
        return call(kind, name, effect)

    monkeypatch.setattr(made.storage, "call", refusing)
    if refusals == ATTEMPTS:
        with pytest.raises(PreconditionFailed):
            made.erase(SELECTION)
    else:
        made.erase(SELECTION)
        assert not any(row["Source"] == HIM for prefix in TABLES for row in made.rows(prefix))
    assert not left[0]
    assert made.audit().status == 0
