"""Runs one invocation of a function: reports errors, and sends telemetry at the end.

The Functions host drops the log category of a failed invocation once the worker has announced OpenTelemetry,
and counts endless retries as one request. So only the app's own reports of failures are reliable.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from shared import metrics, telemetry_export
from shared.telemetry import FunctionName

log = logging.getLogger(__name__)

SHOWN = 500
"""Maximum characters of each message in the log line; the log record's exception has the full messages."""


@contextmanager
def invocation(function: FunctionName, flush_after: float = 0) -> Iterator[None]:
    """Logs an exception of the block with its causes, counts it, and raises it again.

    `flush_after`: at the end, telemetry is sent if it was last sent at least this many seconds ago. Without
    this, a platform that freezes the instance after an invocation would delay telemetry until the next one.

    Raises RuntimeError instead of SystemExit and similar exceptions, because the worker does not catch
    these, and the invocation would hang until its timeout.
    """
    at = {"function": function}
    try:
        yield
    except BaseException as error:
        metrics.FAILURES.record(1, at)
        log.exception("%s failed: %s", function, describe(error))  # noqa: TRY401 - with its causes, on one line
        if isinstance(error, Exception):
            raise
        raise RuntimeError(f"{type(error).__name__}: {error}") from error
    else:
        metrics.RUNS.record(1, at)
    finally:
        telemetry_export.flush(flush_after)


def describe(error: BaseException) -> str:
    """Returns an exception and its causes in one line, the outermost first."""
    parts = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        parts.append(f"{type(current).__name__}: {' '.join(str(current).split())[:SHOWN]}")
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return ", caused by ".join(parts)
