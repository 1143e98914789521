"""Tells by what the host says of the attempt before whether the batch itself may be what breaks it."""

import re
from typing import Protocol

from shared.errors import LedgerError, StorageError

_RAISED = re.compile(r"^Exception: ([A-Za-z_]+)", re.MULTILINE)


class HostException(Protocol):
    """The part of `azure.functions.RpcException` that is needed."""

    @property
    def message(self) -> str:
        """What failed, with the type of the exception that a function raised after `Exception: `."""


class RetryContext(Protocol):
    """The part of `azure.functions.RetryContext` that is needed."""

    @property
    def retry_count(self) -> int:
        """0 in the first attempt."""

    @property
    def exception(self) -> HostException | None:
        """What ended the attempt before."""


def suspect(retry: RetryContext | None) -> bool:
    """Whether an earlier attempt of this batch died, timed out, or raised what no storage or ledger causes.

    The host keeps a batch in its memory while it retries, so this outlives the worker that died. Where it
    does not say what happened, the batch is suspect.
    """
    if retry is None or not retry.retry_count:
        return False
    raised = _RAISED.findall(retry.exception.message if retry.exception else "")
    return not raised or raised[-1] not in _outside()


def _outside() -> set[str]:
    """The names of the errors that say nothing about a batch."""
    names, kinds = set(), [StorageError, LedgerError]
    while kinds:
        kind = kinds.pop()
        names.add(kind.__name__)
        kinds += kind.__subclasses__()
    return names
