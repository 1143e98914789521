"""`audit`: proves or refutes that the container holds every record exactly once."""

import argparse
from dataclasses import asdict
from typing import Any

from shared.audit import audit as auditing
from shared.audit.audit import OK, UNKNOWN, WRONG
from shared.audit.evidence import Level
from shared.commands import console
from shared.commands.connection import configured, connect
from shared.commands.console import GREEN, RED, YELLOW, paint, say, say_json, wrapped
from shared.commands.declaration import SETTINGS, command, past
from shared.commands.documents import AuditDocument, AuditFinding, AuditPartition, Proof
from shared.protocol.storage import LogStorage
from shared.wording import counted

COLORS = {Level.REFUTED: RED, Level.UNCLEAR: YELLOW, Level.NOTE: "0"}
PROOFS: dict[int, Proof] = {OK: "proven", WRONG: "refuted", UNKNOWN: "undecided"}
SHADES = {OK: GREEN, WRONG: RED, UNKNOWN: YELLOW}


def declare(commands: Any) -> None:
    """Adds the command to the command line."""

    def run(options: argparse.Namespace) -> int:
        return audit(connect(configured()), options.since, deep=options.deep, as_json=options.json)

    parser = command(
        commands,
        "audit",
        run,
        "Proves or refutes that the container holds every record exactly once. Read-only.",
        "It compares every file, its metadata and its rows with the ledgers (docs/audit-and-replay.md).\n"
        f"Exit status: 0 proven, 1 refuted, 2 undecided.\n{SETTINGS}",
        "  python -m shared audit\n  python -m shared audit --deep\n"
        "  python -m shared audit --since 30d --json",
    )
    parser.add_argument(
        "--since",
        type=past,
        default=0,
        metavar="TIME",
        help="audit only commits since this time: 30d, 12h, 2026-11-20 or 2026-11-20T10:00Z. "
        "Needed if a lifecycle rule deletes old files",
    )
    parser.add_argument("--deep", action="store_true", help="also read every row and every dead letter")
    parser.add_argument("--json", action="store_true", help="print JSON")


def audit(storage: LogStorage, since: int, *, deep: bool, as_json: bool) -> int:
    """Runs the audit and prints its result."""
    report = auditing.audit(storage, since, deep=deep, progress=console.progress)
    console.progressed()
    if as_json:
        say_json(
            AuditDocument(
                verdict=PROOFS[report.status],
                not_read=list(report.unread),
                staged=report.staged,
                partitions=[
                    AuditPartition(
                        partition=one.partition,
                        verdict=PROOFS[one.status],
                        files=one.files,
                        rows=one.rows,
                        counts=one.counts,
                        findings=[AuditFinding(**asdict(finding)) for finding in one.findings],
                    )
                    for one in report.partitions
                ],
            )
        )
        return report.status
    for one in report.partitions:
        counts = one.counts
        word, shade = PROOFS[one.status], SHADES[one.status]
        balance = (
            f"{counted(counts.records, 'record')} in = {counted(counts.rows, 'row')}"
            f" + {sum(counts.rejected.values()):,} rejected + {counts.skipped:,} skipped; "
        )
        for line in wrapped(
            f"{one.partition}: {paint(word, shade)}: {balance if one.ledger else ''}"
            f"{counted(one.rows, 'row')} in {counted(one.files, 'file')}"
        ):
            say(line)
        for finding in one.findings:
            text = f"{paint(finding.level.value, COLORS[finding.level])}: {finding.message}"
            for line in wrapped(text, indent="  "):
                say(line)
    if report.staged:
        say(f"{counted(report.staged, 'staged file')} of failed attempts: Azure deletes them after a week")
    if not report.partitions:
        say("No ledger: nothing was committed, or STATE_CONTAINER names another container.")
    for text in report.unread:
        for line in wrapped(f"not read: {text}{'' if 'since' in text else ' (--deep reads them)'}"):
            say(line)
    say(f"audit: {paint(PROOFS[report.status], SHADES[report.status])}")
    return report.status
