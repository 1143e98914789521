"""Decides from the host's report on the previous attempt whether the batch itself may be the cause."""

import re
from typing import Protocol

from shared.errors import LedgerError, StorageError

_RAISED = re.compile(r"^Exception: ([A-Za-z_]+)", re.MULTILINE)


class RetryContext(Protocol):
    """The part of `azure.functions.RetryContext` that every version has.

    The error that ended the previous attempt is in `exception` according to the documentation, but in
    `rpc_exception` in azure-functions-runtime 1.3.0. Its `message` has the type of the exception after
    `Exception: `.
    """

    @property
    def retry_count(self) -> int:
        """0 in the first attempt."""


def suspect(retry: RetryContext | None) -> bool:
    """Whether an earlier attempt died, timed out, or raised an error not caused by storage or a ledger.

    The host keeps a batch in its memory while it retries, so this works even if the worker died. If the host
    does not say what happened, the batch is suspect.
    """
    if retry is None or not retry.retry_count:
        return False
    exception = getattr(retry, "rpc_exception", None) or getattr(retry, "exception", None)
    raised = _RAISED.findall(getattr(exception, "message", None) or "")
    return not raised or raised[-1] not in _outside()


def _outside() -> set[str]:
    """Returns the names of errors that a batch cannot cause."""
    names, kinds = set(), [StorageError, LedgerError]
    while kinds:
        kind = kinds.pop()
        names.add(kind.__name__)
        kinds += kind.__subclasses__()
    return names
