"""A failed call raises the error that says whether it had an effect."""

from typing import NoReturn

import pytest
from azure.core.exceptions import AzureError, HttpResponseError, ServiceRequestError

from shared.azure import blob_calls
from shared.errors import OutcomeUnknown, PreconditionFailed, StorageError
from shared.policies import StorageTimeouts


def answered(status: int | None) -> HttpResponseError:
    """An answer with this status; None: the connection was lost before it."""
    error = HttpResponseError("a message\nErrorCode: some")
    error.status_code = status
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        *((answered(status), OutcomeUnknown) for status in (None, 408, 429, 500, 503, 504)),
        *((answered(status), PreconditionFailed) for status in (409, 412)),
        *((answered(status), StorageError) for status in (400, 403, 404, 407)),
        (ServiceRequestError("no connection"), OutcomeUnknown),
        (TimeoutError(), OutcomeUnknown),
    ],
)
def test_an_error_says_whether_the_call_had_an_effect(
    error: AzureError | TimeoutError, expected: type[StorageError]
) -> None:
    def call() -> NoReturn:
        raise error

    with pytest.raises(expected, match=r"^read ledger: ") as raised:
        blob_calls.make("read ledger", call, StorageTimeouts())
    assert raised.type is expected
