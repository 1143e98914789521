"""The verdict says in one sentence whether anything needs attention."""

from dataclasses import replace

from shared.audit.audit import OK, UNKNOWN, WRONG
from shared.commands import status_json
from shared.lag import Lag
from tests.shared.commands.sample_status import (
    FULL,
    NOW,
    QUIET,
    partition_state,
    shown,
)


def test_the_status_begins_with_its_verdict() -> None:
    alone = replace(FULL, alarms=[], unknown=(), partitions=[QUIET])
    waiting = replace(alone, partitions=[partition_state("a/0", Lag(1, 30)), QUIET])
    other = partition_state("a/0")
    other.alarms.append("it stands still")
    words = {OK: "well", WRONG: "wrong", UNKNOWN: "unknown"}
    for found, status, sentence in (
        (alone, OK, "All is well: 1 partition, and nothing is waiting in the hub."),
        (waiting, OK, "All is well: 2 partitions; 1 envelope is waiting in the hub, for up to 0.5 min."),
        (
            replace(alone, unknown=("x",), partitions=[partition_state("a/0")]),
            OK,
            "Nothing looks wrong with 1 partition; without the hub,",
        ),
        (
            replace(alone, unknown=("Lag.",), failed=True),
            UNKNOWN,
            "It is unknown whether all is well. Lag.",
        ),
        (replace(alone, partitions=[]), UNKNOWN, "Nothing has been committed yet"),
        (replace(alone, partitions=[other]), WRONG, "1 problem needs attention: a/0: it stands still"),
        (
            replace(alone, partitions=[other], alarms=["b"]),
            WRONG,
            "2 problems need attention: see the last lines.",
        ),
    ):
        assert found.verdict[0] == status
        assert status_json.document(found, 86_400, NOW).verdict.status == words[status]
        assert shown(found).startswith(sentence), shown(found).splitlines()[0]
