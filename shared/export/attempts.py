"""Decides from the host's report on the previous attempt whether the batch itself may be the cause."""

import re
from typing import Protocol

from shared.errors import LedgerError, StorageError

_RAISED = re.compile(r"^Exception: ([A-Za-z_]+)", re.MULTILINE)


class RetryContext(Protocol):
    """The part of `azure.functions.RetryContext` that every version has.

    What ended the attempt before is `exception` by the documentation, and `rpc_exception` in
    azure-functions-runtime 1.3.0; its `message` holds the type of what a function raised after `Exception: `.
    """

    @property
    def retry_count(self) -> int:
        """0 in the first attempt."""


def suspect(retry: RetryContext | None) -> bool:
    """Whether an earlier attempt died, timed out, or raised an error not caused by storage or a ledger.

    The host keeps a batch in its memory while it retries, so this outlives the worker that died. Where it
    does not say what happened, the batch is suspect.
    """
    if retry is None or not retry.retry_count:
        return False
    exception = getattr(retry, "rpc_exception", None) or getattr(retry, "exception", None)
    raised = _RAISED.findall(getattr(exception, "message", None) or "")
    return not raised or raised[-1] not in _outside()


def _outside() -> set[str]:
    """The names of the errors that say nothing about a batch."""
    names, kinds = set(), [StorageError, LedgerError]
    while kinds:
        kind = kinds.pop()
        names.add(kind.__name__)
        kinds += kind.__subclasses__()
    return names
