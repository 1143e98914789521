"""The worker process: loads the function app with Microsoft's worker library and serves invocations.

`azure-functions-runtime` is the library that the real Python 3.13 worker loads. This module drives it with
stand-ins for its protobuf messages, in the order of the real host: initialize (which indexes the app), list
the functions, load each, invoke. Invocations go through `native_invocation`, which shares decoding, thread
pool and execution with the protobuf entry point. A process serves one app, because the library's registry is
global.
"""

import asyncio
import logging
import os
import socket
import sys
from types import SimpleNamespace
from typing import Any

from azure_functions_runtime import handle_event, native_invocation
from azure_functions_runtime.bindings.datumdef import Datum
from azure_functions_runtime.utils import threadpool

from local.emulators.functions_host.protocol import READER_LIMIT, Frame, encode, read

LOG = logging.getLogger("worker")


class _StatusResult(SimpleNamespace):
    Failure, Success = 0, 1


class _BindingInfo(SimpleNamespace):
    undefined, out, inout = 0, 1, 2


class _Messages(SimpleNamespace):
    """Stands in for the library's protobuf module; every other message only holds its arguments."""

    StatusResult = _StatusResult
    BindingInfo = _BindingInfo

    def __getattr__(self, name: str) -> type[SimpleNamespace]:
        return SimpleNamespace


def _request(**message: object) -> SimpleNamespace:
    return SimpleNamespace(
        request=SimpleNamespace(**message), properties={"protos": _Messages(), "host": "127.0.0.1"}
    )


async def _index(app: str) -> dict[str, Any]:
    """Returns the functions of the app folder, or `error` and `trace` if it cannot be indexed."""
    started = await handle_event.worker_init_request(
        _request(worker_init_request=SimpleNamespace(capabilities={}, function_app_directory=app))
    )
    if started.result.status != _StatusResult.Success:
        return {"error": started.result.exception.message, "trace": started.result.exception.stack_trace}
    known = await handle_event.functions_metadata_request(_request(functions_metadata_request=None))
    functions = known.function_metadata_results
    if not functions:
        return {
            "error": f"No functions found: {app}/function_app.py is missing or declares none",
            "trace": "",
        }
    for function in functions:
        await handle_event.function_load_request(
            _request(function_load_request=SimpleNamespace(function_id=function.function_id))
        )
    return {
        "functions": [
            {
                "id": function.function_id,
                "name": function.name,
                "bindings": list(function.raw_bindings),
                "retry": _retry(function.retry_options),
            }
            for function in functions
        ]
    }


def _retry(options: SimpleNamespace | None) -> dict[str, Any] | None:
    if options is None:
        return None
    fixed = options.retry_strategy == "fixed_delay"
    return {
        "count": options.max_retry_count,
        "minimum": (options.delay_interval if fixed else options.minimum_interval).total_seconds(),
        "maximum": (options.delay_interval if fixed else options.maximum_interval).total_seconds(),
    }


def _datum(kind: str, value: Any) -> Datum:
    """Converts a value to the library's form, in which a collection is a message with one repeated field."""
    _, collection, element = kind.partition("collection_")
    return Datum(SimpleNamespace(**{element: value}) if collection else value, kind)


async def _answer(frame: Frame, writer: asyncio.StreamWriter) -> None:
    call = frame.header
    # Before the first retry, the message exists and is empty.
    exception = call["retry_exception"] or dict.fromkeys(("message", "stack_trace", "source"), "")
    data = (
        Datum(SimpleNamespace(bytes=list(frame.bodies)), "collection_bytes")
        if call["data"] is None
        else Datum(call["data"], "json")
    )
    try:
        ok, _, _, error, trace = await native_invocation.invocation_request_native(
            call["invocation_id"],
            call["function_id"],
            [(call["parameter"], data)],
            {name: _datum(kind, value) for name, (kind, value) in call["metadata"].items()},
            trace_parent=call["trace_parent"],
            retry_count=call["retry_count"],
            max_retry_count=call["max_retry_count"],
            retry_exception=SimpleNamespace(**exception),
        )
    except BaseException:
        # SystemExit and similar exceptions pass the library's handler, and the real host then gets no answer
        # until the timeout. Raising it again here would end the loop, and with it every other invocation.
        LOG.critical("The function raised an exception that the worker does not handle", exc_info=True)
        return
    if trace:
        # The wording of Python's own worker: the type and the text, then the stack.
        trace = f"{error.replace('(', ': ', 1).removesuffix(')')}\nStack: {trace}"
    writer.writelines(encode(Frame({"id": call["id"], "ok": ok, "error": error, "trace": trace})))
    await writer.drain()


async def _serve(connection: socket.socket, app: str) -> None:
    reader, writer = await asyncio.open_connection(sock=connection, limit=READER_LIMIT)
    threadpool.start_threadpool_executor()
    writer.writelines(encode(Frame(await _index(app))))
    answers: set[asyncio.Task[None]] = set()
    while (frame := await read(reader)) is not None:
        answer = asyncio.create_task(_answer(frame, writer))
        # If the frame were kept until the next one is read, it would occupy the memory of a whole batch.
        del frame
        answers.add(answer)
        answer.add_done_callback(answers.discard)


def main() -> None:
    """Serves the host on the inherited socket (first argument) with the app folder (second argument)."""
    descriptor, app = int(sys.argv[1]), sys.argv[2]
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # As in the real worker, the app's own modules come first; the library does not ensure that.
    sys.path.insert(0, app)
    asyncio.run(_serve(socket.socket(fileno=descriptor), app))


if __name__ == "__main__":
    try:
        main()
    except BaseException:
        LOG.critical("The worker ends", exc_info=True)
    finally:
        # The host is gone: a thread that still runs an invocation must not keep this process alive.
        logging.shutdown()
        os._exit(0)
