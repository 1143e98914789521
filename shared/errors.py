"""The errors that the program raises, as a tree.

ExporterError
|-- SettingError            a setting is missing or its value is not allowed; the app does not start
|-- TriggerError            a batch has no partition or no sequence numbers
|-- HubError                the Event Hub did not answer, or rejected the request
|-- PlanningFailed          planning a message raised an exception or exceeded a CPU or memory limit
|-- LastResortError         planning a batch in a child process did not finish
|-- PartitionUnknown        a requested partition does not exist
|-- AccessError             a container cannot be read: sign-in, network, name or role
|-- CaptureError            a fixture cannot be written
|-- ConvertError            a file cannot be read as log records
|-- DeltaLogError           a Delta log is damaged, has a gap, or was written by another program
|-- BackfillError           an archive cannot be read, or does not match the output
|-- DamagedFile             an output file or a state blob differs from what was written
|-- ReconcileError          a workspace export cannot be read, or has nothing to compare
|-- ReportError             the requested report cannot be created
|   `-- FileGone            a file was deleted or compacted since it was listed
|-- StorageError            a storage call did not succeed
|   |-- PreconditionFailed  its condition was not met, or it is not allowed: it had no effect
|   |-- OutcomeUnknown      no answer, or an unclear one: the call may have taken effect
|   `-- DeadlineExceeded    the time of a run is up, so the next step was not started
`-- LedgerError             a ledger cannot be trusted; an operator decides
    |-- LedgerMissing       it existed before
    |-- LedgerRolledBack    it is older than the version that was seen
    |-- OutputConflict      the output container belongs to another state container
    |-- LedgerTooNew        a newer program wrote it
    `-- LedgerTooLarge      it does not fit into one Put Blob

An invalid record or envelope is not an error but a rejection (shared/input/rejections.py).
"""


class ExporterError(Exception):
    """The base of this program's errors. Messages say what was expected, what was found and what to do."""


class SettingError(ExporterError):
    """A setting is missing or its value is not allowed."""


class TriggerError(ExporterError):
    """A batch has no partition or no sequence numbers."""


class HubError(ExporterError):
    """The Event Hub did not answer, or rejected the request."""


class PlanningFailed(ExporterError):
    """Planning a message raised an exception or exceeded its CPU or memory limit: a fault of this program."""


class LastResortError(ExporterError):
    """Planning a batch in a child process did not finish: the next attempt repeats it."""


class PartitionUnknown(ExporterError):
    """A requested partition does not exist; the message lists the existing ones."""


class AccessError(ExporterError):
    """A container cannot be read because of the sign-in, the network, a name or a role."""


class CaptureError(ExporterError):
    """A fixture cannot be written."""


class ConvertError(ExporterError):
    """A file cannot be read as log records, or the output folder cannot be used."""


class BackfillError(ExporterError):
    """An archive cannot be read, or does not match the output container."""


class DamagedFile(ExporterError):
    """An output file or a state blob differs from what was written: it was truncated or changed."""


class DeltaLogError(ExporterError):
    """A Delta log is damaged, has a gap, or was written by another program; an operator decides."""


class ReportError(ExporterError):
    """The requested report cannot be created."""


class ReconcileError(ExporterError):
    """A workspace export cannot be read, or has nothing to compare."""


class FileGone(ReportError):
    """A file was deleted or compacted since it was listed: list again."""


class StorageError(ExporterError):
    """A storage call did not succeed."""


class PreconditionFailed(StorageError):
    """The call's condition was not met: it had no effect."""


class OutcomeUnknown(StorageError):
    """There was no answer, or an unclear one: the call may have taken effect."""


class DeadlineExceeded(StorageError):
    """The time of a run is up, so the next step was not started. Storage is slow or does not answer."""


class LedgerError(ExporterError):
    """A ledger cannot be trusted: the partition stops until an operator has decided."""


class LedgerMissing(LedgerError):
    """The ledger existed before and is missing."""


class LedgerRolledBack(LedgerError):
    """The ledger is older than a version that was seen before, or was replaced by another ledger."""


class OutputConflict(LedgerError):
    """The output container belongs to another state container: two apps would write the same rows."""


class LedgerTooNew(LedgerError):
    """A newer program wrote the ledger."""


class LedgerTooLarge(LedgerError):
    """The ledger does not fit into one Put Blob."""
