"""A message that breaks this program becomes a dead letter, and the others are exported."""

import gzip
import itertools
import json
from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path
from time import monotonic
from typing import Any

import orjson
import pytest
from azure_functions_runtime.bindings.retrycontext import RetryContext, RpcException

from shared import deadline
from shared.errors import (
    DeadlineExceeded,
    LastResortError,
    LedgerError,
    PlanningFailed,
)
from shared.export import retry_context, set_aside
from shared.export.exporter import SECONDS, Exporter
from shared.export.isolation import IsolatedPlanner
from shared.input.envelope import Envelope
from shared.policies import ChildLimits, ExportPolicy
from shared.protocol.ledger import Ledger
from shared.timeunits import HOUR
from tests import breaking_planner
from tests.memory import MemoryStorage
from tests.records import PARTITION, TEN
from tests.shared.export.plans import envelope, record

BREAKING = "tests.breaking_planner:make"
LIMITS = ChildLimits(cpu=2, wall=120, memory=256 << 20)


def exporter(
    storage: MemoryStorage, limits: ChildLimits = LIMITS, now: Callable[[], int] = lambda: TEN, **options: Any
) -> Exporter:
    ids = itertools.count(1)
    return Exporter(
        storage,
        ExportPolicy(formats=("json",)),
        1 << 26,
        now,
        lambda: f"{next(ids):032x}",
        limits=limits,
        planner=BREAKING,
        **options,
    )


def broken(sequence: int, body: bytes) -> Envelope:
    return Envelope(sequence, TEN - HOUR, body)


def lines(storage: MemoryStorage, folder: str) -> list[dict[str, Any]]:
    found = [
        orjson.loads(line)
        for name, blob in sorted(storage.output.items())
        if name.startswith(folder) and blob.data is not None
        for line in gzip.decompress(blob.data).splitlines()
    ]
    return sorted(found, key=str)


def test_a_breaking_message_is_kept_and_all_others_are_exported(caplog: pytest.LogCaptureFixture) -> None:
    storage = MemoryStorage(lambda: TEN)
    bodies = (
        breaking_planner.LOOPS,
        breaking_planner.GROWS,
        breaking_planner.RAISES,
        breaking_planner.DIES,
        breaking_planner.EXITS,
    )
    batch = [
        one
        for n, body in enumerate(bodies)
        for one in (envelope(2 * n, record(f"c{n}")), broken(2 * n + 1, body))
    ]
    exporter(storage).run_isolated(PARTITION, batch)
    assert [row["CorrelationId"] for row in lines(storage, "json/")] == [f"c{n}" for n in range(5)]
    letters = {
        letter["body"].encode(): letter["rejections"][0] for letter in lines(storage, "_dead_letters/")
    }
    assert letters.keys() == set(bodies)
    assert {letter["reason"] for letter in letters.values()} == {"internal_error"}
    for body, problem in zip(
        bodies,
        ("2 s of CPU", "MemoryError", "ZeroDivisionError", "SIGKILL", "status 3"),
        strict=True,
    ):
        assert problem in letters[body]["message"]
    ledger = Ledger.parse(storage.state[Ledger.name(PARTITION)].data, "")
    assert (ledger.counts.records, ledger.counts.rows, ledger.counts.rejected) == (
        10,
        5,
        {"internal_error": 5},
    )
    assert ledger.broken.letters == 5
    assert caplog.text.count("becomes a dead letter") == 5
    assert exporter(storage).run_isolated(PARTITION, batch) == []


def test_an_ordinary_batch_is_committed_at_once_in_a_child() -> None:
    storage = MemoryStorage(lambda: TEN)
    batch = [envelope(n, record(f"c{n}")) for n in range(20)]
    (commit,) = exporter(storage).run_isolated(PARTITION, batch)
    assert (commit.counts.envelopes, commit.counts.rows) == (20, 20)
    assert len(lines(storage, "json/")) == 20


def test_commits_that_make_no_progress_end_with_an_error() -> None:
    storage = MemoryStorage(lambda: TEN)
    with pytest.raises(LedgerError, match="1 message is still not committed after 3 commits"):
        exporter(storage).run(PARTITION, [broken(0, breaking_planner.REPEATS)])


def test_a_run_out_of_time_blames_no_message() -> None:
    ours, _theirs = Pipe()
    planner = IsolatedPlanner(ChildLimits(), "")
    with deadline.within(0.01), pytest.raises(DeadlineExceeded, match="the time of this run is up"):
        planner._receive(ours, monotonic() + 60, 60)
    with deadline.within(60), pytest.raises(PlanningFailed, match=r"more than 0.01 s"):
        planner._receive(ours, monotonic() + 0.01, 0.01)


def test_a_batch_leaves_time_for_the_message_that_breaks_it(caplog: pytest.LogCaptureFixture) -> None:
    storage = MemoryStorage(lambda: TEN)
    limits = ChildLimits(cpu=60, wall=6, batch=0.5)
    one = exporter(storage, limits)
    one.run_isolated(PARTITION, [envelope(0, record("a")), broken(1, breaking_planner.SLEEPS)])
    assert "individual messages: it took more than 0.5 s" in caplog.text
    (letter,) = lines(storage, "_dead_letters/")
    assert "more than 6 s" in letter["rejections"][0]["message"]
    assert [row["CorrelationId"] for row in lines(storage, "json/")] == ["a"]
    # Each message may need a new child process, which takes a few seconds to start.
    deployed = ChildLimits()
    assert deployed.batch + deployed.wall <= SECONDS - 40
    assert deployed.cpu <= deployed.batch


def test_a_batch_whose_planning_outlasts_a_run_is_suspect() -> None:
    storage = MemoryStorage(lambda: TEN)
    batch = [envelope(0, record("a")), broken(1, breaking_planner.LINGERS)]
    with pytest.raises(PlanningFailed, match="while the batch was planned") as raising:
        exporter(storage, seconds=1).run(PARTITION, batch)
    assert retry_context.suspect(context(1, raised(raising.value)))
    assert storage.output == {}


def test_too_many_internal_errors_an_hour_raise_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_aside, "MAX_BROKEN", 2)
    storage, now = MemoryStorage(lambda: TEN), [TEN]
    batch = [broken(n, breaking_planner.RAISES) for n in range(4)]
    one = exporter(storage, now=lambda: now[0])
    with pytest.raises(LastResortError, match="2 messages broke in this hour"):
        one.run_isolated(PARTITION, batch)
    with pytest.raises(LastResortError, match="2 messages broke in this hour"):
        exporter(storage, now=lambda: now[0]).run_isolated(PARTITION, batch)
    assert len(lines(storage, "_dead_letters/")) == 2
    now[0] += HOUR
    one.run_isolated(PARTITION, batch)
    assert len(lines(storage, "_dead_letters/")) == 4


def seen() -> list[Any]:
    path = Path(__file__).parents[2] / "fixtures" / "host" / "retries.json"
    return [entry["retryContext"] for entry in json.loads(path.read_text())]


def context(count: int, message: str | None) -> RetryContext:
    """Returns a retry context like that of Microsoft's worker library."""
    return RetryContext(count, -1, None if message is None else RpcException("", "", message))


def raised(error: Exception) -> str:
    """Returns an exception as the host passes it on."""
    text: str = next(entry["exception"]["message"] for entry in seen() if "exception" in entry)
    assert "Exception: RuntimeError: store is down\n" in text
    return text.replace("RuntimeError: store is down", f"{type(error).__name__}: {error}")
