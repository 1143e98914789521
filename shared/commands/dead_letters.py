"""Revalidates dead letters against the current rules and exports, exactly once, those that now pass."""

from base64 import b64decode
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import batched
from typing import Any

import numpy as np

from shared.audit import contents
from shared.audit.listing import Progress
from shared.errors import DamagedFile
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope, HubPartition
from shared.input.redacted_bodies import COLUMN
from shared.input.validation import validate
from shared.policies import ExportPolicy
from shared.protocol.ledger import Ledger
from shared.protocol.selection import Verdict, verdict_on
from shared.protocol.storage import DEAD_LETTERS, BlobInfo, Storage

BATCH = 500
"""Dead letters that are in memory at a time."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which dead letters to replay."""

    reasons: frozenset[str] = frozenset()
    """Those with one of these; empty: all."""
    since: int = 0
    """Those that reached the hub at this time or later, µs since 1970 UTC."""
    until: int = 1 << 62
    """Those that reached the hub before."""


@dataclass(slots=True)
class Replayed:
    """The outcome for the chosen dead letters."""

    letters: int = 0
    before: int = 0
    """Replayed before."""
    fit: int = 0
    """Those of which some records pass now."""
    rows: int = 0
    """In those."""
    skipped: int = 0
    """Records in those that are of another category now."""
    stay: int = 0
    """Of which nothing fits."""
    from_redacted: int = 0
    """Of those that fit, whose credentials are markers: they would be in a row, too."""
    no_body: int = 0
    """That cannot be replayed: nothing was kept of the body, which is no text (DEAD_LETTER_BODIES)."""
    no_columns: int = 0
    """That cannot be replayed: columns that are hashed or dropped were removed from the body."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Today's, of all records that still do not fit."""
    commits: int = 0
    damaged: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Letter:
    partition: HubPartition
    """Whose ledger counts its replay."""
    envelope: Envelope
    reasons: frozenset[str]
    redacted: frozenset[str]
    """Kinds of what was replaced in the body."""
    kept: bool
    """Whether there is a body."""


def replay(
    storage: Storage,
    exporter: Exporter,
    policy: ExportPolicy,
    choice: Choice,
    *,
    dry_run: bool,
    progress: Progress,
) -> Replayed:
    """Replays the chosen dead letters, or says what would become of them.

    A dead letter is known by its partition, incarnation and sequence number. Its replay is a commit like any
    other, in a ledger of its own (`HubPartition.replay`), so doing it again, or two at a time, changes
    nothing. Only what was rejected is exported, with the partition and sequence number that it came with. A
    dead letter of which nothing fits is left as it is. What does not fit of one that was replayed is one of
    that ledger. Dead letters whose bodies were not kept, or lack columns, are counted and left as they are.
    """
    done = Replayed()
    files = [
        BlobInfo(file.name, file.size, {}) for file in storage.outputs(f"{DEAD_LETTERS}/") if file.visible
    ]
    ledgers: dict[HubPartition, Ledger] = {}
    for number, file in enumerate(files):
        progress("replay", number, len(files))
        try:
            for some in batched(_chosen(storage, file, choice), BATCH, strict=False):
                for partition, envelopes in _fitting(storage, some, policy, ledgers, done):
                    if not dry_run:
                        done.commits += len(exporter.run(partition, envelopes))
        except DamagedFile as error:
            done.damaged.append(str(error))
    return done


def _chosen(storage: Storage, file: BlobInfo, choice: Choice) -> Iterator[_Letter]:
    for line in contents.lines(storage, file):
        try:
            letter = _letter(line)
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedFile(f"{file.name}: holds what is no dead letter: {error!r}") from error
        wanted = not choice.reasons or choice.reasons & letter.reasons
        if wanted and choice.since <= letter.envelope.enqueued < choice.until:
            yield letter


def _letter(line: dict[str, Any]) -> _Letter:
    """As `shared.output.dead_letters` wrote it."""
    erased = bool(line.get("erased"))
    kept = not erased and ("body_sha256" not in line or "body" in line)
    body = line["body_base64"] if "body_base64" in line else line["body"] if kept else ""
    envelope = Envelope(
        sequence=int(line["sequence"]),
        enqueued=int(np.datetime64(str(line["enqueued"]).removesuffix("Z"), "us").astype(np.int64)),
        body=b64decode(str(body)) if "body_base64" in line else str(body).encode(),
        amqp=str(line.get("amqp_body_type", "")),
        only=tuple((first, last) for first, last in line["rejected_indexes"]),
    )
    partition = HubPartition.parse(str(line["partition"])).replay(int(line["incarnation"]))
    return _Letter(partition, envelope, frozenset(line["counts"]), frozenset(line.get("redacted", ())), kept)


def _fitting(
    storage: Storage,
    letters: Iterable[_Letter],
    policy: ExportPolicy,
    ledgers: dict[HubPartition, Ledger],
    done: Replayed,
) -> Iterator[tuple[HubPartition, Sequence[Envelope]]]:
    """By partition, the envelopes that fit now, at least in part, and were not replayed; counts all."""
    fitting: dict[HubPartition, list[Envelope]] = {}
    for letter in letters:
        done.letters += 1
        if letter.partition not in ledgers:
            ledgers[letter.partition] = _ledger(storage, letter.partition)
        # Without any, too: then what an interrupted replay left unpublished is published.
        envelopes = fitting.setdefault(letter.partition, [])
        if verdict_on(ledgers[letter.partition], letter.envelope) is Verdict.DUPLICATE:
            done.before += 1
            continue
        if not letter.kept or COLUMN in letter.redacted:
            done.no_columns += letter.kept
            done.no_body += not letter.kept
            continue
        valid = validate(letter.partition.origin, [letter.envelope], policy)
        for one in valid.rejected:
            done.reasons.update({str(reason): number for reason, number in one.counts.items()})
        if valid.rejected and not valid.rows and not valid.skipped:
            done.stay += 1
            continue
        done.fit += 1
        done.from_redacted += bool(letter.redacted)
        done.rows += valid.rows
        done.skipped += valid.skipped
        envelopes.append(letter.envelope)
    for partition, envelopes in fitting.items():
        yield partition, sorted(envelopes, key=lambda one: one.sequence)


def _ledger(storage: Storage, partition: HubPartition) -> Ledger:
    name = Ledger.name(partition)
    blob = storage.read(name)
    return Ledger.parse(blob.data, name) if blob else Ledger(ledger_id="", partition=str(partition))
