"""Runs Microsoft's worker library on one captured request, through its protobuf entry: `FOLDER REQUEST`.

It needs a separate process, because the library's registry of functions is global.
"""

import asyncio
import json
import sys
from base64 import b64decode
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from azure_functions_runtime import handle_event
from azure_functions_runtime.utils import threadpool

from local.emulators.functions_host.worker import _index, _request

KINDS = {"collectionString": "collection_string", "collectionSint64": "collection_sint64"}


class TypedData(SimpleNamespace):
    """Return the member that is set in a message."""

    def WhichOneof(self, _: str) -> str:  # noqa: N802
        return str(self.kind)


def typed(document: dict[str, Any]) -> TypedData:
    """Return the message for its form in the capture."""
    if "collectionBytes" in document:
        bodies = [b64decode(body["b64"]) for body in document["collectionBytes"]["bytes"]]
        return TypedData(kind="collection_bytes", collection_bytes=SimpleNamespace(bytes=bodies))
    name = document["data"]
    kind = KINDS.get(name, name)
    # An empty collection is captured without its field.
    members = (
        {"string": [], "sint64": []} | document[name] if kind.startswith("collection") else document[name]
    )
    return TypedData(
        kind=kind, **{kind: SimpleNamespace(**members) if isinstance(members, dict) else members}
    )


class Binding(SimpleNamespace):
    """A ParameterBinding."""

    def WhichOneof(self, _: str) -> str:  # noqa: N802
        return "data"


async def main(app: str, captured: dict[str, Any]) -> None:
    """Index the app and invoke its only function with the request."""
    threadpool.start_threadpool_executor()
    (function,) = (await _index(app))["functions"]
    retry = captured.get("retryContext", {})
    (binding,) = captured["inputData"]
    invocation = SimpleNamespace(
        invocation_id=captured["invocationId"],
        function_id=function["id"],
        input_data=[Binding(name=binding["name"], data=typed(binding["data"]))],
        trigger_metadata={name: typed(value) for name, value in captured["triggerMetadata"].items()},
        trace_context=SimpleNamespace(
            trace_parent=captured["traceContext"]["traceParent"], trace_state="", attributes={}
        ),
        retry_context=SimpleNamespace(
            retry_count=retry.get("retryCount", 0),
            max_retry_count=retry.get("maxRetryCount", 0),
            exception=SimpleNamespace(message="", stack_trace="", source=""),
        ),
    )
    answer = await handle_event.invocation_request(_request(invocation_request=invocation))
    if answer.result.status != 1:
        raise RuntimeError(answer.result.exception.message)


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    asyncio.run(main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text())))
