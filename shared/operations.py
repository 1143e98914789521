"""What the commands of the command line do and print; each returns its exit status."""

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

import orjson

from shared import adopt as adoption
from shared import audit as auditing
from shared import console
from shared import replay as replaying
from shared import status as standing
from shared.audit import OK, UNKNOWN, WRONG
from shared.console import GREEN, RED, YELLOW, paint, say
from shared.evidence import Level
from shared.export import Exporter
from shared.replay import Choice
from shared.settings import Rules
from shared.storage import Storage

__all__ = ["Choice", "adopt", "audit", "replay", "status"]

HEADER = ("source", "next", "last commit", "records", "rows", "rejected", "skipped", "gaps", "lost")
COLOURS = {Level.REFUTED: RED, Level.UNCLEAR: YELLOW, Level.NOTE: "0"}
VERDICTS = {OK: ("proven", GREEN), WRONG: ("refuted", RED), UNKNOWN: ("could not be told", YELLOW)}


def status(storage: Storage, now: int, *, as_json: bool) -> int:
    """Prints how each source stands."""
    found = standing.status(storage, now)
    alarms = sum(len(one.alarms) for one in found)
    if as_json:
        _json([_standing(one) for one in found])
    elif not found:
        say("No ledger yet: nothing was committed, or STATE_CONTAINER is another one.")
    else:
        console.table(HEADER, [_row(one) for one in found])
        for one in found:
            for alarm in one.alarms:
                say(paint(f"{one.source}: {alarm}", RED))
    return UNKNOWN if not found else WRONG if alarms else OK


def _row(one: standing.Standing) -> list[object]:
    ledger = one.ledger
    if ledger is None:
        return [one.source, *["-"] * (len(HEADER) - 1)]
    counts = ledger.counts
    return [
        one.source,
        ledger.incarnation.next or 0,
        console.time(ledger.committed_at),
        counts.records,
        counts.rows,
        sum(counts.rejected.values()),
        counts.skipped,
        one.gaps,
        len(ledger.lost),
    ]


def _standing(one: standing.Standing) -> dict[str, Any]:
    ledger = one.ledger
    known = ledger and {
        "ledger_id": ledger.ledger_id,
        "ordinal": ledger.ordinal,
        "committed_at": ledger.committed_at,
        "incarnation": ledger.incarnation.number,
        "next": ledger.incarnation.next or 0,
        "newest": ledger.incarnation.newest,
        "counts": ledger.counts.model_dump(),
        "lost": len(ledger.lost),
        "listed": len(ledger.files),
    }
    return {
        "source": one.source,
        "replay": one.replay,
        "gaps": one.gaps,
        "alarms": one.alarms,
        "ledger": known,
    }


def audit(storage: Storage, since: int, *, deep: bool, as_json: bool) -> int:
    """Prints what the container proves."""
    report = auditing.audit(storage, since, deep=deep, progress=console.progress)
    console.progressed()
    verdict, colour = VERDICTS[report.status]
    if as_json:
        sources = [
            {
                "source": one.source,
                "verdict": VERDICTS[one.status][0],
                "files": one.files,
                "rows": one.rows,
                "counts": one.counts.model_dump(),
                "findings": [asdict(finding) for finding in one.findings],
            }
            for one in report.sources
        ]
        _json({"verdict": verdict, "staged": report.staged, "sources": sources})
        return report.status
    for one in report.sources:
        counts = one.counts
        word, shade = VERDICTS[one.status]
        say(
            f"{one.source}: {paint(word, shade)}: {counts.records:,} records in = {counts.rows:,} rows"
            f" + {sum(counts.rejected.values()):,} rejected + {counts.skipped:,} skipped;"
            f" {one.rows:,} rows in {one.files:,} files"
        )
        for finding in one.findings:
            say(f"  {paint(finding.level.value, COLOURS[finding.level])}: {finding.message}")
    if report.staged:
        say(f"{report.staged:,} staged files of attempts that failed: Azure drops them after a week")
    if not report.sources:
        say("No ledger: nothing was committed, or STATE_CONTAINER is another one.")
    say(f"audit: {paint(verdict, colour)}")
    return report.status


def replay(
    storage: Storage,
    rules: Rules,
    memory: int,
    choice: Choice,
    *,
    dry_run: bool,
    as_json: bool,
    now: Callable[[], int],
    new_id: Callable[[], str],
) -> int:
    """Replays dead letters, and prints what became of them."""
    exporter = Exporter(storage, rules, memory, now, new_id)
    done = replaying.replay(storage, exporter, rules, choice, dry_run=dry_run, progress=console.progress)
    console.progressed()
    if as_json:
        _json({"dry_run": dry_run, **{each.name: getattr(done, each.name) for each in fields(done)}})
        return UNKNOWN if done.damaged else OK
    did = "would be exported" if dry_run else "exported"
    say(f"{done.letters:,} dead letters, {done.before:,} of them replayed before")
    say(f"{done.fit:,} fit now: {done.rows:,} rows {did}, {done.skipped:,} of other categories now")
    say(f"{done.stay:,} stay")
    for reason, number in done.reasons.most_common():
        say(f"  {number:,} records still rejected: {reason}")
    for problem in done.damaged:
        say(paint(problem, RED))
    return UNKNOWN if done.damaged else OK


def adopt(storage: Storage, source: str | None, *, yes: bool, now: int, new_id: str) -> int:
    """Prints which sources stand still and what adopting means; with `yes`, adopts one."""
    found = {one.source: one for one in adoption.blocked(storage)}
    if source is None:
        for one in found.values():
            say(f"{one.source}: {paint(one.problem, RED)}")
        say(f"{len(found)} sources stand still" + (": python -m shared adopt SOURCE" if found else ""))
        return WRONG if found else OK
    if source not in found:
        say(f"{source}: nothing to adopt: its ledger is as it was seen; does the app need a restart?")
        return OK
    one = found[source]
    gone = adoption.forgotten(storage, one)
    say(f"{source}: {one.problem}.")
    say(
        f"The container has {gone.files:,} files with {gone.rows:,} rows and dead letters that this ledger"
        f" does not know of, up to sequence {gone.last}: what the hub delivers again will be there twice."
    )
    if not yes:
        say("Nothing was changed. Restore the ledger if you can; to go on from here all the same, add --yes")
        return WRONG
    adoption.adopt(storage, one, new_id, now)
    say("Adopted. Restart the function app: its processes remember the ledger that was.")
    return OK


def _json(value: Any) -> None:
    say(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
