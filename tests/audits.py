"""Audits a container, and picks from the report what tests compare."""

from shared.audit.audit import Report, audit
from shared.audit.evidence import Finding, Level
from shared.protocol.storage import LogStorage


def audited(storage: LogStorage, since: int = 0, *, deep: bool = True) -> Report:
    """The report of an audit that shows no progress."""
    return audit(storage, since, deep=deep, progress=lambda *_: None)


def findings(report: Report, level: Level = Level.REFUTED) -> list[Finding]:
    """The findings of all partitions at one level."""
    return [one for partition in report.partitions for one in partition.findings if one.level is level]


def codes(report: Report, level: Level = Level.REFUTED) -> set[str]:
    """The codes of these findings."""
    return {one.code for one in findings(report, level)}
