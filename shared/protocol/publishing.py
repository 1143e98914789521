"""The commit step that exporter and timer share: publishes the files that a ledger lists."""

import logging
from collections.abc import Sequence
from typing import Protocol, Self

from shared import telemetry
from shared.errors import PreconditionFailed
from shared.protocol.ledger import Ledger, PendingFile
from shared.protocol.stamp import Stamp
from shared.protocol.storage import Publication, Storage
from shared.timeunits import DAY, MINUTE

BLOCKS_LIVE = 6 * DAY
"""Microseconds for which staged blocks certainly exist: Azure keeps uncommitted blocks for a week.

Source: learn.microsoft.com/rest/api/storageservices/put-block, remarks.
"""
PENDING = 2 * MINUTE
"""Microseconds after which the timer publishes the files that a ledger still lists, and empties its list."""

log = logging.getLogger(__name__)


class Publishable(Protocol):
    """A document that lists files to publish: a ledger, or the manifest."""

    @property
    def files(self) -> tuple[PendingFile, ...]:
        """The files to publish."""

    def with_lost(self, files: Sequence[PendingFile], commit_id: str, now: int) -> Self:
        """Records these files as lost instead of listing them."""

    def dump(self) -> bytes:
        """Serializes it for one Put Blob."""


def publish[L: Publishable](storage: Storage, name: str, ledger: L, etag: str, stamp: Stamp) -> tuple[L, str]:
    """Makes every listed file visible. Returns the ledger and its ETag, which change if a file is lost.

    If its blocks do not exist, the file was published and then deleted by a lifecycle rule or by compaction,
    unless the blocks may have expired: then the file is lost, and the ledger records that.
    Raises PreconditionFailed if another writer was faster: start again with the current ledger.
    """
    return _settle(storage, name, ledger, etag, stamp, storage.publish(ledger.files))


def repair[L: Publishable](storage: Storage, name: str, ledger: L, etag: str, stamp: Stamp) -> tuple[L, str]:
    """Like `publish`, for a ledger that another process wrote, or this one before a failure."""
    outcomes = storage.publish(ledger.files)
    telemetry.repaired(name, outcomes.count(Publication.DONE))
    return _settle(storage, name, ledger, etag, stamp, outcomes)


def _settle[L: Publishable](
    storage: Storage, name: str, ledger: L, etag: str, stamp: Stamp, outcomes: Sequence[Publication]
) -> tuple[L, str]:
    """Returns the ledger and its ETag after publishing its files with these outcomes."""
    gone = [
        file
        for file, outcome in zip(ledger.files, outcomes, strict=True)
        if outcome is Publication.BLOCKS_GONE
    ]
    if not gone:
        return ledger, etag
    current = storage.read(name)
    if current is None or current.etag != etag:
        raise PreconditionFailed(f"{name}: another writer was faster")
    lost = [
        file for file in gone if stamp.now - file.staged_at >= BLOCKS_LIVE and not storage.exists(file.name)
    ]
    if not lost:
        for file in gone:
            if not storage.exists(file.name):
                telemetry.alarmed("export_logs")
                log.error(
                    "%s: neither visible nor staged: was it deleted, or was the output container changed?",
                    file.name,
                )
        return ledger, etag
    for file in lost:
        log.error(
            "lost: %s: its blocks expired before it was published; redeliver its sequence numbers", file.name
        )
    ledger = ledger.with_lost(lost, stamp.commit_id, stamp.now)
    etag = storage.write(name, ledger.dump(), etag)
    telemetry.lost(name, len(lost))
    return ledger, etag


def repair_ledger(storage: Storage, name: str, stamp: Stamp) -> bool:
    """Publishes the files that a ledger lists and empties the list; returns whether it had to do anything.

    Completes the work of an exporter that died between its ledger write and its last publish. Raises
    PreconditionFailed if the exporter was faster: then there is nothing to repair.
    """
    blob = storage.read(name)
    if blob is None:
        return False
    ledger = Ledger.parse(blob.data, name)
    if not ledger.files:
        return False
    ledger, etag = repair(storage, name, ledger, blob.etag, stamp)
    storage.write(name, ledger.confirmed(stamp.commit_id, stamp.now).dump(), etag)
    return True
