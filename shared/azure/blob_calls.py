"""Makes one call to Blob Storage, with retries, a timeout, and errors that state its outcome."""

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
"""HTTP status codes of calls that had no effect because a condition was not met."""
TRIES = 6
"""Maximum number of retries of a call. Usually, the call runs out of time before that."""


class Retry(ExponentialRetry):
    """Retries after about half a second, and doubles the wait each time, until the call's time is up.

    The library's own first wait is 18 s.
    """

    def __init__(self, timeouts: StorageTimeouts) -> None:
        super().__init__(retry_total=TRIES, retry_connect=TRIES, retry_read=TRIES, retry_status=TRIES)
        self._first = timeouts.backoff

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        """See StorageRetryPolicy."""
        return random.uniform(0.5, 1.5) * self._mean(settings)  # noqa: S311 - nothing is secret about it

    def increment(self, settings: dict[str, Any], *arguments: Any, **named: Any) -> bool:
        """See StorageRetryPolicy. Does not retry once the caller has stopped waiting."""
        again: bool = super().increment(settings, *arguments, **named)
        return again and deadline.left() > self._mean(settings)

    def _mean(self, settings: dict[str, Any]) -> float:
        wait: float = self._first * 2.0 ** (settings["count"] - 1)
        return wait


def make[T](what: str, call: Callable[[], T], timeouts: StorageTimeouts) -> T:
    """Makes a call within its own time limit and the time that the current work has left.

    `what` names the call in errors. Raises PreconditionFailed, OutcomeUnknown, DeadlineExceeded or another
    StorageError.
    """
    deadline.check(what)
    seconds = min(timeouts.call, deadline.left())
    with _outcome(what), deadline.within(seconds):
        return deadline.bounded(call, seconds)


def code(error: HttpResponseError) -> str:
    """Returns the service's code of an error, such as `BlobNotFound`."""
    # Only azure-storage-blob sets it, so the base class does not declare it. It is a string or an enum.
    found = getattr(error, "error_code", None) or error.reason
    return str(getattr(found, "value", found))


@contextmanager
def _outcome(what: str) -> Iterator[None]:
    """Maps the SDK's errors to ours: the call had no effect, an unknown effect, or failed otherwise."""
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
        text = error.message.partition("\n")[0]  # the other lines repeat the code
        raise StorageError(f"{message}: {text}") from error
    except AzureError as error:
        raise OutcomeUnknown(f"{what}: {type(error).__name__}: {error}") from error
    except TimeoutError as error:
        raise OutcomeUnknown(f"{what}: no answer in time; it may still take effect") from error
