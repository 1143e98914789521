"""Dead letters that pass now are exported once, with their original sequence number, on every attempt."""

import gzip
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.audit.audit import OK
from shared.commands.dead_letter_replay import Choice, replay
from shared.commands.documents import ReplayDocument
from shared.errors import OutcomeUnknown
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.policies import ExportPolicy, RedactionPolicy
from shared.protocol.ledger import Ledger
from shared.tables.websocket_connection_logs import RECORDS
from shared.timeunits import SECOND
from tests import records
from tests.audits import audited
from tests.memory import MemoryStorage
from tests.records import EPOCH, PARTITION
from tests.shared.exported import POLICY, Exported, envelope, lenient, record

OLD = 24 * 30
"""Hours before the arrival, which the default settings reject."""


def mixed(sequence: int, old: tuple[int, ...] = (1,), broken: tuple[int, ...] = ()) -> Envelope:
    """Three records, some of which are too old or have no correlation id."""
    found = [record(sequence, index) for index in range(3)]
    for index in old:
        found[index]["time"] = "2030-02-01T00:00:00Z"
    for index in broken:
        del found[index]["correlationId"]
    return records.envelope(sequence, EPOCH + sequence * SECOND, *found)


def replayed(
    exported: Exported,
    choice: Choice | None = None,
    policy: ExportPolicy | None = None,
    *,
    dry_run: bool = False,
) -> ReplayDocument:
    policy = policy or lenient()
    exporter = exported.exporter(policy)
    return replay(
        exported.storage, exporter, policy, choice or Choice(), dry_run=dry_run, progress=lambda *_: None
    )


def rows(exported: Exported) -> Counter[tuple[str, int, int]]:
    tables = [
        pq.read_table(io.BytesIO(exported.read(name))) for name in exported.files(f"parquet/{RECORDS.name}/")
    ]
    table = pa.concat_tables(tables)
    keys = (table[name].to_pylist() for name in ("_EventHubPartition", "_SequenceNumber", "_RecordIndex"))
    return Counter(zip(*keys, strict=True))


def status(exported: Exported) -> int:
    return audited(exported.storage).status


def test_a_rejected_record_that_passes_now_is_exported_once(
    exported: Exported,
) -> None:
    exported.export([mixed(0), mixed(1, old=()), mixed(2, old=(0, 2)), mixed(5)])
    assert rows(exported).total() == 8
    done = replayed(exported)
    assert (done.letters, done.before, done.fit, done.rows, done.stay) == (3, 0, 3, 4, 0)
    expected = {(str(PARTITION), sequence, index) for sequence in (0, 1, 2, 5) for index in range(3)}
    assert rows(exported) == Counter(expected)
    assert status(exported) == 0


def test_repeating_a_replay_changes_nothing(exported: Exported) -> None:
    exported.export([mixed(0), mixed(1)])
    replayed(exported)
    before = {blob.name: blob.etag for blob in [*exported.output.list_blobs(), *exported.state.list_blobs()]}
    done = replayed(exported)
    assert (done.letters, done.before, done.fit, done.commits) == (2, 2, 0, 0)
    assert before == {
        blob.name: blob.etag for blob in [*exported.output.list_blobs(), *exported.state.list_blobs()]
    }


def test_a_dry_run_reports_the_same_and_writes_nothing(exported: Exported) -> None:
    exported.export([mixed(0), mixed(1, broken=(2,))])
    before = exported.files(), sorted(exported.state.list_blob_names())
    dry = replayed(exported, dry_run=True)
    assert before == (exported.files(), sorted(exported.state.list_blob_names()))
    wet = replayed(exported)
    assert (dry.fit, dry.rows, dry.stay, dry.reasons) == (wet.fit, wet.rows, wet.stay, wet.reasons)


def test_a_dead_letter_that_still_fails_stays(exported: Exported) -> None:
    exported.export([mixed(0, broken=(0,), old=()), envelope(1)])
    done = replayed(exported)
    assert (done.stay, done.fit, done.commits) == (2, 0, 0)
    assert done.reasons == {"missing_required_field": 1, "unreadable_envelope": 1}


def test_records_rejected_by_a_replay_can_be_replayed_again(
    exported: Exported,
) -> None:
    # Rejected at first: 0 and 1 for their time, and later 1 for its missing correlation id.
    exported.export([mixed(7, old=(0, 1), broken=(2,))])
    first = replayed(exported)
    assert (first.fit, first.rows, first.reasons) == (1, 2, {"missing_required_field": 1})
    again = replayed(exported)
    assert (again.letters, again.before, again.stay, again.commits) == (2, 1, 1, 0)
    assert status(exported) == 0


def test_records_left_by_a_replay_are_exported_once_they_pass(exported: Exported) -> None:
    # One hour ahead passes with max_lead, one month ago with max_age: two successive changes of settings.
    body = orjson.loads(mixed(3, old=(0,)).body)
    body["records"][1]["time"] = "2030-03-19T00:00:00Z"
    exported.export([Envelope(3, EPOCH + 3 * SECOND, orjson.dumps(body))])
    age = ExportPolicy(formats=POLICY.formats, max_age=lenient().max_age)
    assert replayed(exported, policy=age).rows == 1
    for _ in range(2):
        replayed(exported)
    assert rows(exported) == Counter((str(PARTITION), 3, index) for index in range(3))
    assert status(exported) == 0
    assert set(exported.state.list_blob_names(name_starts_with="ledgers/")) == {
        Ledger.name(partition)
        for partition in (PARTITION, PARTITION.replay(0), PARTITION.replay(0).replay(0))
    }


def test_an_envelope_that_became_readable_is_exported_completely(exported: Exported) -> None:
    strict = ExportPolicy(formats=POLICY.formats, max_inflated=10)
    exported.export([Envelope(4, EPOCH + 4 * SECOND, gzip.compress(mixed(4, old=()).body))], policy=strict)
    done = replayed(exported)
    assert (done.fit, done.rows) == (1, 3)
    assert rows(exported) == Counter((str(PARTITION), 4, index) for index in range(3))


def test_dead_letters_are_chosen_by_reason_and_time(exported: Exported) -> None:
    exported.export([mixed(0), mixed(1, old=(), broken=(0,)), envelope(8), mixed(9)])
    assert replayed(exported, Choice(frozenset({"unreadable_envelope"})), dry_run=True).letters == 1
    assert replayed(exported, Choice(since=EPOCH + 8 * SECOND), dry_run=True).letters == 2
    assert replayed(exported, Choice(until=EPOCH + 8 * SECOND), dry_run=True).letters == 2
    assert replayed(exported, Choice(since=EPOCH + 9 * SECOND), dry_run=False).rows == 1
    assert replayed(exported).rows == 1, "an earlier one after a later one"
    assert rows(exported)[str(PARTITION), 0, 1] == 1


def test_quarantined_envelopes_of_a_deleted_hub_can_be_replayed(exported: Exported) -> None:
    exported.export([mixed(sequence, old=()) for sequence in range(3)])
    anew = Envelope(0, EPOCH + 3600 * SECOND, mixed(0, old=()).body)
    exported.export([anew])
    exported.export([mixed(3, old=())])
    assert exported.ledger().counts.rejected == {"older_incarnation": 1}
    assert replayed(exported, policy=POLICY).rows == 3
    assert replayed(exported, policy=POLICY).rows == 0
    assert status(exported) == 0


def test_a_damaged_file_is_reported_and_others_are_replayed(exported: Exported) -> None:
    exported.export([mixed(0)])
    exported.export([mixed(1)])
    name = exported.files("_dead_letters/")[0]
    exported.overwrite(name, exported.read(name)[:-12])
    done = replayed(exported)
    assert (len(done.damaged), done.rows) == (1, 1)
    assert name in done.damaged[0]


class Unsteady(MemoryStorage):
    """Loses the answer to every nth call, which still takes effect."""

    left = 0

    def call[T](self, kind: str, name: str, effect: Callable[[], T]) -> T:
        result = effect()
        if self.left:
            self.left -= 1
            if not self.left:
                raise OutcomeUnknown(f"{kind} {name}: no answer")
        return result


@pytest.mark.parametrize("calls", range(1, 40))
def test_a_replay_interrupted_anywhere_exports_once(calls: int) -> None:
    ids = iter(range(1 << 30))
    store = Unsteady()

    def exporter(policy: ExportPolicy) -> Exporter:
        return Exporter(store, policy, 1 << 24, lambda: EPOCH, lambda: f"{next(ids):032x}")

    exporter(POLICY).run(PARTITION, [mixed(sequence) for sequence in (0, 2, 3, 9)])
    store.left = calls
    for _ in range(2):
        try:
            replay(store, exporter(lenient()), lenient(), Choice(), dry_run=False, progress=lambda *_: None)
        except OutcomeUnknown:
            continue
    store.left = 0
    replay(store, exporter(lenient()), lenient(), Choice(), dry_run=False, progress=lambda *_: None)
    report = audited(store)
    assert report.status == 0, report
    ledgers = [Ledger.parse(store.state[name].data, name) for name in store.names("ledgers/")]
    assert sum(ledger.counts.rows for ledger in ledgers) == 12


SECRET = "hunter2hunter2"


def old(sequence: int, source: str) -> Envelope:
    """An envelope with one record that is too old, from this source."""
    bad = record(sequence, 0) | {"time": "2030-02-01T00:00:00Z"}
    bad["properties"]["source"] = source
    return records.envelope(sequence, EPOCH + sequence * SECOND, bad)


def compressed(envelope: Envelope) -> Envelope:
    return replace(envelope, body=gzip.compress(envelope.body))


def test_redacted_dead_letters_hold_no_secret_and_can_be_replayed(
    exported: Exported,
) -> None:
    policy = replace(POLICY, redaction=RedactionPolicy(bodies="redacted"))
    url = f"wss://h/p?access_token={SECRET}"
    malformed = Envelope(3, EPOCH + 3 * SECOND, f'{{"records":[{{"source":"{url}'.encode())
    exported.export([old(0, "10.0.0.1"), old(1, url), compressed(old(2, url)), malformed], policy)
    held = b"".join(gzip.decompress(exported.read(name)) for name in exported.files("_dead_letters/"))
    assert len(held.splitlines()) == 4
    assert SECRET.encode() not in held
    assert status(exported) == OK
    done = replayed(exported)
    assert (done.letters, done.fit, done.from_redacted, done.no_body, done.no_columns) == (4, 2, 1, 1, 0)
    assert done.stay == 1
    names = exported.files(f"parquet/{RECORDS.name}/")
    table = pa.concat_tables(pq.read_table(io.BytesIO(exported.read(name))) for name in names)
    assert sorted(table["Source"].to_pylist()) == [
        "10.0.0.1",
        "wss://h/p?access_token=[redacted:parameter]",
    ]
    assert (replayed(exported).before, status(exported)) == (2, OK)


def test_raw_and_redacted_dead_letters_replay_to_the_same_rows(exported: Exported) -> None:
    url = f"wss://h/p?access_token={SECRET}&room=7"
    exported.export([old(0, url)])
    exported.export([old(1, url)], replace(POLICY, redaction=RedactionPolicy(bodies="redacted")))
    assert replayed(exported).rows == 2
    names = exported.files(f"parquet/{RECORDS.name}/")
    table = pa.concat_tables(pq.read_table(io.BytesIO(exported.read(name))) for name in names)
    assert set(table["Source"].to_pylist()) == {"wss://h/p?access_token=[redacted:parameter]&room=7"}


@pytest.mark.parametrize("removed", [{"hash_columns": ("Source",)}, {"drop_columns": ("Source",)}])
def test_a_dead_letter_without_its_columns_is_not_replayed(
    exported: Exported, removed: dict[str, tuple[str, ...]]
) -> None:
    redaction = RedactionPolicy(hash_key=b"k" * 16, bodies="redacted", **removed)  # type: ignore[arg-type]
    exported.export([old(0, "10.1.2.3")], replace(POLICY, redaction=redaction))
    (name,) = exported.files("_dead_letters/")
    assert b"10.1.2.3" not in gzip.decompress(exported.read(name))
    done = replayed(exported)
    assert (done.letters, done.fit, done.no_columns) == (1, 0, 1)
