"""The audit proves the exporter's output, and refutes it after any manipulation."""

import gzip
import io
from copy import deepcopy
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from local.emulators.azurite import Azurite
from shared.audit.audit import OK, UNKNOWN, WRONG, Audited, Report
from shared.audit.evidence import Finding, Level
from shared.connections import manifest
from shared.connections.manifest import Manifest, PartitionProgress
from shared.protocol.ledger import Ledger
from shared.protocol.publishing import repair_ledger
from shared.protocol.stamp import Stamp
from shared.timeunits import SECOND
from tests import audits
from tests.audits import codes, findings
from tests.effort import effort, some
from tests.memory import Output
from tests.records import PARTITION
from tests.shared.exported import Exported, InMemory, Saved, contents_of, envelopes
from tests.simulation.run import run
from tests.simulation.schedule import Choices
from tests.simulation.test_commit import SCENARIOS
from tests.simulation.world import Options

LEDGER = Ledger(ledger_id="l", partition="ns/hub/0")
RECORDS = "parquet/ApiManagementWebSocketConnectionLogs/"


def audited(exported: Exported | InMemory, since: int = 0, *, deep: bool = False) -> Report:
    return audits.audited(exported.storage, since, deep=deep)


def judged(*levels: Level, ledger: Ledger | None = LEDGER) -> Audited:
    return Audited("p", ledger, findings=[Finding(level, "code", "message") for level in levels])


@pytest.mark.parametrize(
    ("partitions", "status"),
    [
        ([judged()], OK),
        ([judged(Level.NOTE), judged(ledger=None)], OK),
        ([judged(Level.NOTE, Level.UNCLEAR), judged()], UNKNOWN),
        ([judged(Level.UNCLEAR, Level.REFUTED)], WRONG),
        ([judged(Level.UNCLEAR), judged(Level.REFUTED)], WRONG),
        ([judged(ledger=None)], UNKNOWN),
        ([], UNKNOWN),
    ],
)
def test_the_worst_finding_decides_and_nothing_is_proven_without_ledgers(
    partitions: list[Audited], status: int
) -> None:
    assert (OK, WRONG, UNKNOWN) == (0, 1, 2)
    assert Report(tuple(partitions), 0).status == status


@pytest.fixture(scope="module")
def saved(azurite: Azurite) -> Saved:
    return contents_of(azurite, lambda container: container.export(envelopes(0, 30)))


@pytest.fixture
def on_azurite(exported: Exported, saved: Saved) -> Exported:
    exported.load(saved)
    return exported


@pytest.fixture(scope="module")
def in_memory() -> InMemory:
    container = InMemory()
    container.export(envelopes(0, 30))
    return container


@pytest.fixture
def filled(in_memory: InMemory) -> InMemory:
    return deepcopy(in_memory)


@pytest.mark.parametrize("deep", [False, True])
def test_the_output_of_the_exporter_is_proven(on_azurite: Exported, *, deep: bool) -> None:
    report = audited(on_azurite, deep=deep)
    assert (report.status, findings(report), codes(report, Level.UNCLEAR)) == (0, [], set())
    (partition,) = report.partitions
    counts = on_azurite.ledger().counts
    assert (partition.rows, partition.files) == (2 * counts.rows, counts.files)
    assert counts.records == counts.rows + sum(counts.rejected.values()) + counts.skipped


def test_envelopes_without_a_file_are_reported(filled: InMemory) -> None:
    # In a separate batch, because their commits would include other envelopes.
    filled.export([envelopes(37, 37)[0]])
    told = [one.message for one in findings(audited(filled), Level.NOTE)]
    assert any("1 envelope left no file" in one for one in told)
    assert any("6 sequence numbers" in one and "31-36" in one for one in told)


def test_a_deleted_file_is_found(filled: InMemory) -> None:
    for name in some(filled.files(), 6):
        blob = filled.storage.output.pop(name)
        report = audited(filled)
        assert (report.status, codes(report)) == (1, {"missing_files"}), name
        filled.storage.output[name] = blob
    assert audited(filled).status == 0


def test_any_deleted_commit_is_found(filled: InMemory) -> None:
    files: dict[str, list[str]] = {}
    for blob in filled.storage.outputs(""):
        files.setdefault(blob.metadata["commit_id"], []).append(blob.name)
    assert len(files) > 3
    for names in some([*files.values()], 3):
        kept = {name: filled.storage.output.pop(name) for name in names}
        assert codes(audited(filled)) == {"missing_files"}
        filled.storage.output |= kept


def test_all_files_deleted_is_refuted_not_unclear(filled: InMemory) -> None:
    for name in filled.files():
        filled.storage.remove_output(name)
    assert codes(audited(filled)) == {"missing_files"}


@pytest.mark.parametrize("prefix", [RECORDS, "json/", "_dead_letters/"])
def test_a_copied_file_is_found(filled: InMemory, prefix: str) -> None:
    name = filled.files(prefix)[0]
    filled.copy(name, name.replace("hour=", "hour=0"))
    assert codes(audited(filled)) == {"too_many_files", "moved"}


def test_a_file_of_no_commit_is_found(filled: InMemory) -> None:
    name = filled.files(RECORDS)[0]
    filled.storage.output[name.replace("hour=", "hour=0")] = Output(filled.read(name))
    assert codes(audited(filled)) == {"foreign_file"}


@pytest.mark.parametrize("prefix", [RECORDS, "json/", "_dead_letters/"])
def test_a_truncated_file_is_found(filled: InMemory, prefix: str) -> None:
    name = filled.files(prefix)[0]
    filled.overwrite(name, filled.read(name)[:-30])
    report = audited(filled)
    assert codes(report) == {"damaged", "content_differs"}
    assert all(name in one.message for one in findings(report))


def test_a_row_that_was_removed_is_found_in_parquet(filled: InMemory) -> None:
    name = filled.files(RECORDS)[0]
    rewrite(filled, name, lambda table: table.slice(1))
    report = audited(filled)
    assert codes(report) == {"rows_differ", "content_differs"}
    assert any(one.message.startswith(f"{name} has ") for one in findings(report))


def test_a_line_that_was_removed_is_found_in_json(filled: InMemory) -> None:
    name = filled.files("json/")[0]
    lines = gzip.decompress(filled.read(name)).splitlines(keepends=True)
    filled.overwrite(name, gzip.compress(b"".join(lines[1:])))
    assert codes(audited(filled)) == {"rows_differ", "content_differs"}


def test_a_removed_row_is_found_despite_matching_metadata(filled: InMemory) -> None:
    name = filled.files(RECORDS)[0]
    rewrite(filled, name, lambda table: table.slice(1))
    metadata = filled.storage.output[name].metadata
    for other in filled.storage.outputs(""):
        if other.metadata["commit_id"] == metadata["commit_id"]:
            metadata = {**other.metadata, "commit_rows": str(int(other.metadata["commit_rows"]) - 1)}
            if other.name == name:
                metadata["rows"] = str(int(metadata["rows"]) - 1)
            filled.storage.output[other.name].metadata = metadata
    assert codes(audited(filled)) == {"altered", "content_differs"}


def test_a_deep_audit_finds_a_row_replaced_within_its_commit(filled: InMemory) -> None:
    name = filled.files(RECORDS)[0]
    rewrite(
        filled, name, lambda table: pa.concat_tables([table.slice(0, 1), table.slice(0, table.num_rows - 1)])
    )
    assert "duplicates" in codes(audited(filled, deep=True))


def test_a_deep_audit_finds_a_row_replaced_by_another_commits(filled: InMemory) -> None:
    first, *_, last = filled.files(RECORDS)
    foreign = pq.read_table(io.BytesIO(filled.read(last))).slice(0, 1)
    rewrite(filled, first, lambda table: pa.concat_tables([foreign, table.slice(1)]))
    assert "damaged" in codes(audited(filled, deep=True))


def test_a_deep_audit_finds_a_missing_rejection(filled: InMemory) -> None:
    name = filled.files("_dead_letters/")[0]
    first, *others = (orjson.loads(line) for line in gzip.decompress(filled.read(name)).splitlines())
    first["counts"] = {}
    lines = b"".join(orjson.dumps(line) + b"\n" for line in [first, *others])
    filled.overwrite(name, gzip.compress(lines))
    assert codes(audited(filled, deep=True)) == {"rejections_differ", "content_differs"}


def test_a_rolled_back_ledger_is_found(filled: InMemory) -> None:
    old = filled.storage.read(filled.ledger_name)
    assert old
    filled.export(envelopes(31, 40))
    filled.storage.put(filled.ledger_name, old.data)
    assert "rolled_back" in codes(audited(filled))


def test_a_rolled_back_ledger_is_found_after_more_commits(filled: InMemory) -> None:
    old = filled.storage.read(filled.ledger_name)
    assert old
    filled.export(envelopes(31, 40))
    filled.storage.put(filled.ledger_name, old.data)
    filled.export(envelopes(31, 60))
    assert {"rolled_back", "overlap"} <= codes(audited(filled))


def test_a_rolled_back_ledger_that_continued_is_found(filled: InMemory) -> None:
    old = filled.storage.read(filled.ledger_name)
    assert old
    filled.export(envelopes(31, 32))
    filled.storage.put(filled.ledger_name, old.data)
    assert repair_ledger(filled.storage, filled.ledger_name, Stamp("a" * 32, filled.now()))
    filled.export(envelopes(33, 34))
    assert "rolled_back" in codes(audited(filled))


def test_the_timer_finds_a_rollback_over_commits_without_files(filled: InMemory) -> None:
    ledger = filled.ledger()
    seen = PartitionProgress(ledger_id=ledger.ledger_id, ordinal=1, seen=ledger.ordinal + 1)
    filled.storage.put(manifest.NAME, Manifest(partitions={str(PARTITION): seen}).dump())
    assert codes(audited(filled)) == {"rolled_back"}


def test_files_of_sequence_numbers_in_a_gap_are_found(filled: InMemory) -> None:
    ledger = filled.ledger()
    gap = ledger.incarnation.model_copy(update={"gaps": ((4, 4),)})
    counts = ledger.counts.model_copy(update={"envelopes": ledger.counts.envelopes - 1})
    told = ledger.model_copy(update={"incarnation": gap, "counts": counts})
    filled.storage.put(filled.ledger_name, told.dump())
    assert codes(audited(filled)) == {"outside", "counts_differ"}


def test_an_unbalanced_ledger_is_found(filled: InMemory) -> None:
    ledger = filled.ledger()
    counts = ledger.counts.model_copy(update={"skipped": ledger.counts.skipped + 1})
    filled.storage.put(filled.ledger_name, ledger.model_copy(update={"counts": counts}).dump())
    assert codes(audited(filled)) == {"unbalanced", "counts_differ"}


def test_a_missing_ledger_is_refuted(filled: InMemory) -> None:
    filled.storage.delete([filled.ledger_name])
    assert codes(audited(filled)) == {"no_ledger"}


def test_a_lost_and_recreated_ledger_is_refuted(filled: InMemory) -> None:
    filled.storage.delete([filled.ledger_name])
    filled.export(envelopes(0, 3))
    assert "other_ledger" in codes(audited(filled))


def test_an_unreadable_ledger_leaves_it_unclear(filled: InMemory) -> None:
    filled.storage.put("ledgers/a/b/1.json", b"{")
    report = audited(filled)
    assert (report.status, codes(report, Level.UNCLEAR)) == (2, {"unreadable"})


def test_an_empty_container_is_unclear(exported: Exported) -> None:
    assert audited(exported).status == 2


def test_a_committed_file_that_is_not_published_yet_is_unclear(on_azurite: Exported) -> None:
    ledger, etag = unpublish(on_azurite)
    report = audited(on_azurite)
    assert (report.status, codes(report, Level.UNCLEAR)) == (2, {"unpublished"})
    on_azurite.storage.publish(ledger.files)
    assert audited(on_azurite).status == 0
    assert etag


def test_staged_files_of_failed_attempts_are_only_reported(filled: InMemory) -> None:
    commits = filled.export(envelopes(31, 33))
    orphan = commits[0].files[0]
    listed = orphan.pending.model_copy(update={"name": orphan.pending.name.replace("-0", "-1")})
    filled.storage.stage([type(orphan)(listed, orphan.data)])
    report = audited(filled)
    assert (report.status, report.staged) == (0, 1)


def test_since_leaves_out_files_deleted_by_lifecycle_rules(filled: InMemory) -> None:
    since = filled.now() + SECOND
    filled.now()
    filled.export(envelopes(31, 60))
    old = [blob.name for blob in filled.storage.outputs("") if int(blob.metadata["committed_at"]) < since]
    assert audited(filled, since).status == 0
    for name in sorted(old)[:-4]:
        filled.storage.remove_output(name)
    assert audited(filled).status == 1
    for name in filled.files():
        if name in old:
            filled.storage.remove_output(name)
    report = audited(filled, since)
    assert codes(report, Level.UNCLEAR) == {"no_anchor"}
    later = since + 10 * SECOND
    assert audited(filled, later).status == 0
    newest = max(filled.storage.outputs(""), key=lambda blob: int(blob.metadata["ordinal"]))
    filled.storage.remove_output(newest.name)
    assert audited(filled, later).status == 1


LASTING = {name: options for name, options in SCENARIOS.items() if not options.restored}
"""Files restored from an older copy differ from the chain: see docs/audit-and-replay.md."""


@pytest.mark.parametrize("options", LASTING.values(), ids=LASTING.keys())
def test_after_any_schedule_it_is_proven_unless_files_were_deleted(options: Options) -> None:
    for seed in range(1000, effort(1001, 1040)):
        world = run(Choices(seed), options)
        report = audits.audited(world.storage)
        assert report.status == (1 if world.removed else 0), (seed, findings(report))


def unpublish(on_azurite: Exported) -> tuple[Ledger, str]:
    """Hides files as if the exporter had died between its ledger write and its first publish."""
    blob = on_azurite.storage.read(on_azurite.ledger_name)
    assert blob
    ledger = Ledger.parse(blob.data, "ledger")
    for file in ledger.files:
        data = on_azurite.read(file.name)
        on_azurite.output.delete_blob(file.name)
        on_azurite.output.get_blob_client(file.name).stage_block(file.block_ids[0], data)
    return ledger, blob.etag


def rewrite(filled: InMemory, name: str, change: Any) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(change(pq.read_table(io.BytesIO(filled.read(name)))), sink)
    filled.overwrite(name, sink.getvalue().to_pybytes())
