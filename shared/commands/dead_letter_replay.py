"""Revalidates dead letters against the current rules and exports, exactly once, those that now pass."""

from base64 import b64decode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any

import numpy as np

from shared.audit import contents
from shared.audit.listing import Progress
from shared.commands.documents import ReplayDocument
from shared.errors import DamagedFile
from shared.export.exporter import Exporter
from shared.input.envelope import Envelope
from shared.input.hub_partition import HubPartition
from shared.input.redacted_bodies import COLUMN
from shared.input.validation import validate
from shared.policies import ExportPolicy
from shared.protocol.ledger import Ledger
from shared.protocol.selection import Verdict, verdict_on
from shared.protocol.storage import DEAD_LETTERS, BlobInfo, Storage
from shared.protocol.stored_documents import read_ledger

BATCH = 500
"""Maximum number of dead letters in memory."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The choice of dead letters to replay."""

    reasons: frozenset[str] = frozenset()
    """Only dead letters with one of these reasons; empty: all."""
    since: int = 0
    """Only those that reached the hub at this time or later (µs since 1970 UTC)."""
    until: int = 1 << 62
    """Only those that reached the hub before this time."""


@dataclass(frozen=True, slots=True)
class _Letter:
    partition: HubPartition
    """The partition whose ledger counts its replay."""
    envelope: Envelope
    reasons: frozenset[str]
    redacted: frozenset[str]
    """The kinds of replacements in the body."""
    kept: bool
    """Whether the body was kept."""


def replay(
    storage: Storage,
    exporter: Exporter,
    policy: ExportPolicy,
    choice: Choice,
    *,
    dry_run: bool,
    progress: Progress,
) -> ReplayDocument:
    """Replays the chosen dead letters or, in a dry run, reports what would happen.

    A dead letter is identified by its partition, incarnation and sequence number. Its replay is a commit
    like any other, in a separate ledger (`HubPartition.replay`), so repeating it or running two at once
    changes nothing. Only rejected records are exported, with their original partition and sequence number. A
    dead letter of which no record passes is left alone. Records that still fail after a replay become a dead
    letter of that ledger. Dead letters whose bodies were not kept, or lack columns, are counted and left
    alone.
    """
    done = ReplayDocument(dry_run=dry_run)
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
            raise DamagedFile(f"{file.name} has a line that is not a dead letter: {error!r}") from error
        wanted = not choice.reasons or choice.reasons & letter.reasons
        if wanted and choice.since <= letter.envelope.enqueued < choice.until:
            yield letter


def _letter(line: dict[str, Any]) -> _Letter:
    """Parses a line that `shared.output.dead_letters` wrote."""
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
    done: ReplayDocument,
) -> Iterator[tuple[HubPartition, Sequence[Envelope]]]:
    """Yields, by partition, envelopes with a record that now passes, unless replayed before; counts all."""
    fitting: dict[HubPartition, list[Envelope]] = {}
    for letter in letters:
        done.letters += 1
        if letter.partition not in ledgers:
            none = Ledger(ledger_id="", partition=str(letter.partition))
            ledgers[letter.partition] = read_ledger(storage, letter.partition) or none
        # Even if none pass, because this publishes files that an interrupted replay left unpublished.
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
