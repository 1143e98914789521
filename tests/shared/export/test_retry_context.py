"""The end of the previous attempt decides whether a batch is suspect."""

from shared.errors import (
    LastResortError,
    LedgerRolledBack,
    OutcomeUnknown,
    OutputConflict,
)
from shared.export import retry_context
from tests.shared.export.test_last_resort import context, raised, seen


def test_storage_and_ledger_errors_do_not_make_a_batch_suspect() -> None:
    assert not retry_context.suspect(None)
    assert not retry_context.suspect(context(0, None))
    for error in (OutcomeUnknown("503"), LedgerRolledBack("older"), OutputConflict("other")):
        assert not retry_context.suspect(context(1, raised(error)))


def test_any_other_end_of_an_attempt_makes_its_batch_suspect() -> None:
    for error in (
        MemoryError(),
        KeyError("records"),
        RuntimeError("SystemExit: 1"),
        LastResortError("OutcomeUnknown: 503"),
    ):
        assert retry_context.suspect(context(1, raised(error)))
    died = "Microsoft.Azure.WebJobs.Script.Workers.WorkerProcessExitException : python exited with code 137"
    slow = "Microsoft.Azure.WebJobs.Host.FunctionTimeoutException : Timeout value of 00:10:00 exceeded"
    for message in (died, slow, "", None):
        assert retry_context.suspect(context(1, message))


def test_recorded_contexts_of_the_host_are_parsed() -> None:
    for entry in seen():
        exception = entry.get("exception")
        count = entry.get("retryCount", 0)
        one = context(count, exception and exception["message"])
        assert retry_context.suspect(one) == (count > 0)
