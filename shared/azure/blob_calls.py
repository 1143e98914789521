"""Makes one call to Blob Storage: its retries, its time-out, and the error that says what became of it."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import ExponentialRetry

from shared import deadline
from shared.errors import OutcomeUnknown, PreconditionFailed, StorageError
from shared.policies import StorageTimeouts

CONFLICTS = {409, 412}
"""Statuses of a call that had no effect, because something that it depends on was not so."""
TRIES = 6
"""Attempts after the first one that a call makes at most; as a rule, its time ends it earlier."""


class Retry(ExponentialRetry):
    """Tries again after about half a second, then after twice as long, while the call's time lasts.

    The library's own first wait is 18 s.
    """

    def __init__(self, timeouts: StorageTimeouts) -> None:
        super().__init__(retry_total=TRIES, retry_connect=TRIES, retry_read=TRIES, retry_status=TRIES)
        self._first = timeouts.backoff

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        """See StorageRetryPolicy."""
        return random.uniform(0.5, 1.5) * self._mean(settings)  # noqa: S311 - nothing is secret about it

    def increment(self, settings: dict[str, Any], *arguments: Any, **named: Any) -> bool:
        """See StorageRetryPolicy: whether to try again, which makes no sense once nobody waits any more."""
        again: bool = super().increment(settings, *arguments, **named)
        return again and deadline.left() > self._mean(settings)

    def _mean(self, settings: dict[str, Any]) -> float:
        wait: float = self._first * 2.0 ** (settings["count"] - 1)
        return wait


def make[T](what: str, call: Callable[[], T], timeouts: StorageTimeouts) -> T:
    """Makes a call, in the time that one may take, and that the current work has left.

    `what` names it in errors. Raises PreconditionFailed, OutcomeUnknown, DeadlineExceeded or another
    StorageError.
    """
    deadline.check(what)
    seconds = min(timeouts.call, deadline.left())
    with _outcome(what), deadline.within(seconds):
        return deadline.bounded(call, seconds)


def code(error: HttpResponseError) -> str:
    """The service's code of an error, such as `BlobNotFound`."""
    # Set by azure-storage-blob alone, so that the base class does not declare it; text, or an enum of text.
    found = getattr(error, "error_code", None) or error.reason
    return str(getattr(found, "value", found))


@contextmanager
def _outcome(what: str) -> Iterator[None]:
    """Sorts the SDK's errors by what they tell of the call: no effect, perhaps one, or no such thing."""
    try:
        yield
    except HttpResponseError as error:
        message = f"{what}: HTTP {error.status_code} {code(error)}"
        if error.status_code in CONFLICTS:
            raise PreconditionFailed(message) from error
        if (
            error.status_code is None
            or error.status_code in {408, 429}
            or error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
        ):
            raise OutcomeUnknown(message) from error
        text = error.message.partition("\n")[0]  # the rest repeats the code
        raise StorageError(f"{message}: {text}") from error
    except AzureError as error:
        raise OutcomeUnknown(f"{what}: {type(error).__name__}: {error}") from error
    except TimeoutError as error:
        raise OutcomeUnknown(f"{what}: no answer in time; it may still take effect") from error
