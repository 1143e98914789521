"""Reads the recordings of the real trigger's behavior."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from local.emulators.functions_host.process import HostProcess

FOLDER = Path(__file__).parents[3] / "fixtures" / "host"


@dataclass(frozen=True)
class Step:
    """One line of a recording."""

    at: float
    host: str
    partition: str
    what: str
    """init, invoke, checkpoint, close."""
    first: int = -1
    last: int = -1
    ok: bool = True
    reason: str = ""

    @property
    def without_time(self) -> tuple[object, ...]:
        """All fields except the time."""
        return (self.what, self.first, self.last, self.ok, self.reason)


_LINE = re.compile(
    r" *(?P<at>[\d.]+) +(?P<host>[AB]2?) +(?:"
    r"(?P<init>init)|invoke (?=p)|(?P<checkpoint>checkpoint) (?=p)|(?P<close>CloseAsync))? "
    r"*p(?P<partition>\d)"
    r"(?: (?P<first>\d+)\.\.(?P<last>\d+))?(?: := (?P<sequence>\d+))?(?P<rest>.*)"
)


def steps(name: str, host: str = "A", partition: str = "0") -> list[Step]:
    """Returns the steps of one host with one partition, in order."""
    found = []
    for line in (FOLDER / f"{name}.txt").read_text().splitlines():
        match = _LINE.match(line)
        if match and match["host"] == host and match["partition"] == partition:
            what = next((each for each in ("init", "checkpoint", "close") if match[each]), "invoke")
            last = match["last"] or match["sequence"]
            reason = match["rest"].strip() if what == "close" else ""
            found.append(
                Step(
                    float(match["at"]),
                    host,
                    partition,
                    what,
                    int(match["first"] or -1),
                    int(last) if last else -1,
                    "FAILS" not in line,
                    {"OwnershipLost": "ownership_lost", "Shutdown": "shutdown"}.get(reason, ""),
                )
            )
    # If attempts are numbered, all but the last one failed.
    last = {step.first: number for number, step in enumerate(found) if step.what == "invoke"}
    return [
        replace(step, ok=False) if step.what == "invoke" and last[step.first] != number else step
        for number, step in enumerate(found)
    ]


def deduplicated(all_steps: Iterable[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Returns the steps without repetitions: the number of failures depends on timing."""
    found: list[tuple[object, ...]] = []
    for step in all_steps:
        if step not in found[-1:]:
            found.append(step)
    return found


def reported(host: HostProcess, partition: str = "0") -> list[tuple[object, ...]]:
    """Returns the emulator's reports about one partition, in the form of `Step.without_time`."""
    kinds = {"claimed": "init", "invocation": "invoke", "checkpoint": "checkpoint", "released": "close"}
    return deduplicated(
        (
            kinds[event["event"]],
            event.get("first", -1),
            event.get("last", event.get("sequence", -1)),
            event.get("ok", True),
            event.get("reason", ""),
        )
        for event in list(host.seen)
        if event["event"] in kinds and str(event.get("partition")).endswith(f"/{partition}")
    )


def recorded(name: str, host: str = "A", partition: str = "0") -> list[tuple[object, ...]]:
    """Returns the real trigger's steps with one partition, in the same form."""
    return deduplicated(step.without_time for step in steps(name, host, partition))
