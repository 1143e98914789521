import pytest

from shared.errors import OutcomeUnknown
from shared.invocation import describe, invocation
from tests.metric_reader import Collect


def test_a_failing_invocation_is_counted_logged_and_raised_again(
    caplog: pytest.LogCaptureFixture, collect: Collect
) -> None:
    error = OutcomeUnknown("put\nledgers/a.json")
    error.__cause__ = TimeoutError("no answer")
    with pytest.raises(OutcomeUnknown), invocation("export_logs"):
        raise error
    assert collect() == {"failures function=export_logs": 1}
    said = "OutcomeUnknown: put ledgers/a.json, caused by TimeoutError: no answer"
    assert f"export_logs failed: {said}" in caplog.text
    assert caplog.records[0].exc_info
    with invocation("export_logs"):
        pass
    assert collect() == {"runs function=export_logs": 1}


def test_exceptions_that_the_worker_does_not_catch_are_converted() -> None:
    with pytest.raises(RuntimeError, match="SystemExit: 3"), invocation("compact_logs"):
        raise SystemExit(3)


def test_a_cause_is_named_once_and_not_if_suppressed() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert describe(first) == "ValueError: a, caused by ValueError: b"
    hiding = ValueError("shown")
    hiding.__context__, hiding.__suppress_context__ = KeyError("hidden"), True
    assert describe(hiding) == "ValueError: shown"
    hiding.__suppress_context__ = False
    assert describe(hiding) == "ValueError: shown, caused by KeyError: 'hidden'"
