"""An audit during compaction proves the output, or says what is unclear, but refutes nothing."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from shared.audit.audit import OK, UNKNOWN, WRONG
from shared.audit.evidence import Level
from shared.compaction import compaction_state
from shared.compaction.compaction_state import REMEMBERED, CompactionState, Touched
from shared.errors import OutcomeUnknown
from shared.protocol.commit_metadata import CONNECTIONS
from shared.protocol.storage import Blob, BlobInfo
from tests.audits import codes
from tests.shared.erasure.made import Made, filled


class Died(BaseException):
    """The compactor was killed."""


def die(*_: object) -> None:
    raise Died


def state(made: Made) -> CompactionState:
    return CompactionState.parse(made.storage.state[compaction_state.NAME].data)


def interrupted(monkeypatch: pytest.MonkeyPatch, call: str) -> Made:
    """Returns containers whose compactor died at its first call of this kind."""
    made = filled()
    with monkeypatch.context() as patch, suppress(Died):
        patch.setattr(made.storage, call, die)
        made.compact()
    assert state(made).swap
    return made


def after_listing(
    made: Made, monkeypatch: pytest.MonkeyPatch, prefix: str, act: Callable[[], object]
) -> None:
    """Acts once, at the end of the next listing of this prefix."""
    outputs, acts = made.storage.outputs, iter([act])

    def listed(wanted: str) -> Iterator[BlobInfo]:
        found = list(outputs(wanted))
        if wanted == prefix and (action := next(acts, None)):
            action()
        yield from found

    monkeypatch.setattr(made.storage, "outputs", listed)


def test_changed_folders_are_listed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = filled()
    after_listing(made, monkeypatch, "", made.compact)
    report = made.audit()
    assert (report.status, codes(report, Level.UNCLEAR)) == (OK, set())
    assert [name for name in made.files() if "/compacted-" in name]


def test_folders_that_keep_changing_make_every_finding_unclear(monkeypatch: pytest.MonkeyPatch) -> None:
    made = filled()
    made.compact()
    lost = next(name for name in made.files() if name.startswith("json/"))
    folder = lost.rpartition("/")[0] + "/"
    made.storage.remove_output(lost)
    assert (made.audit().status, codes(made.audit())) == (WRONG, {"missing_files"})
    read = made.storage.read

    def changing(name: str) -> Blob | None:
        blob = read(name)
        if name == compaction_state.NAME:
            touched = (Touched(ordinal=state(made).ordinal + 1, folder=folder),)
            made.storage._put(name, state(made).ended().model_copy(update={"touched": touched}).dump())
        return blob

    monkeypatch.setattr(made.storage, "read", changing)
    report = made.audit()
    assert (report.status, codes(report)) == (UNKNOWN, set())
    assert codes(report, Level.UNCLEAR) == {"missing_files", "compaction"}


@pytest.mark.parametrize(("first", "status"), [(1, WRONG), (2, UNKNOWN)])
def test_more_changes_than_the_state_remembers_make_findings_unclear(
    monkeypatch: pytest.MonkeyPatch, first: int, status: int
) -> None:
    made = filled()
    made.compact()
    made.storage.remove_output(next(name for name in made.files() if name.startswith("json/")))
    began = state(made)
    touched = tuple(Touched(ordinal=began.ordinal + first + n, folder="f/") for n in range(REMEMBERED))
    later = began.model_copy(update={"ordinal": touched[-1].ordinal, "touched": touched})
    after_listing(made, monkeypatch, "", lambda: made.storage._put(compaction_state.NAME, later.dump()))
    report = made.audit()
    assert (report.status, codes(report)) == (status, {"missing_files"} if status == WRONG else set())


def test_the_staged_output_of_a_swap_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    report = interrupted(monkeypatch, "publish").audit()
    assert (report.status, report.staged, codes(report, Level.UNCLEAR)) == (OK, 0, set())


def test_inputs_that_are_not_deleted_yet_are_unclear(monkeypatch: pytest.MonkeyPatch) -> None:
    made = interrupted(monkeypatch, "remove")
    report = made.audit()
    assert (report.status, codes(report), codes(report, Level.UNCLEAR)) == (UNKNOWN, set(), {"compaction"})
    made.compact()
    assert made.audit().status == OK


def test_an_output_published_during_the_listing_refutes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = interrupted(monkeypatch, "publish")
    swap = state(made).swap
    assert swap

    def go_on() -> None:
        made.storage.publish([swap.output])
        made.storage.remove(swap.names)

    after_listing(made, monkeypatch, swap.folder, go_on)
    report = made.audit()
    assert (report.status, codes(report), codes(report, Level.UNCLEAR)) == (UNKNOWN, set(), {"compaction"})
    assert made.audit().status == OK


def test_unpublished_files_of_connections_are_unclear(monkeypatch: pytest.MonkeyPatch) -> None:
    def unanswered(_: object) -> None:
        raise OutcomeUnknown("publish")

    made = Made()
    made.export(0, 9)
    with monkeypatch.context() as patch, suppress(OutcomeUnknown):
        patch.setattr(made.storage, "publish", unanswered)
        made.finish()
    report = made.audit()
    unpublished = {one.partition for one in report.partitions if one.status == UNKNOWN}
    assert (codes(report), codes(report, Level.UNCLEAR)) == (set(), {"unpublished"})
    assert unpublished == {CONNECTIONS}
