"""Azurite, Microsoft's Blob Storage emulator, as a context manager.

It is started from the npm package that `package-lock.json` pins. Without a folder, stopping or killing it
deletes all blobs; with a folder, the next start on the same port and folder finds them. It saves its index
every five seconds, so `kill()` loses the writes that it acknowledged after the last save, even with a folder.
Azure guarantees the opposite, so tests of outages must use `stop()`. It does not support versioning,
undelete, copying from a URL, or hierarchical namespaces.
"""

import signal
import socket
from pathlib import Path
from typing import Self

from local.emulators import child
from local.emulators.child import Child, ChildProcess

ACCOUNT = "devstoreaccount1"
# Public and the same everywhere: https://learn.microsoft.com/azure/storage/common/storage-use-azurite
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
PROGRAM = Path(__file__).resolve().parents[2] / "node_modules" / ".bin" / "azurite-blob"
LISTENING = "successfully listens"


class AzuriteError(RuntimeError):
    """Azurite did not start: it is not installed, its port is in use, or it exited."""


def free_port() -> int:
    """Returns a loopback TCP port that was free at the time of the call."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Azurite(ChildProcess):
    """One Azurite process: `with Azurite() as azurite: azurite.connection_string`.

    Args:
        port: the port to listen on; 0 chooses a free port, which every later start uses again.
        folder: where blobs are stored; without a folder, they are in memory and are lost with the process.
        start_timeout: seconds to wait for the first answer.
    """

    def __init__(self, port: int = 0, folder: Path | None = None, *, start_timeout: float = 180) -> None:
        self.port = port or free_port()
        self.folder = folder
        self._takes_any_port = port == 0
        self._start_timeout = start_timeout

    @property
    def url(self) -> str:
        """The account's blob endpoint."""
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        """A connection string for `azure-storage-blob` and for `AzureWebJobsStorage`."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.url};"
        )

    def start(self) -> Self:
        """Starts the process, on the same port and folder as before, and waits until it answers."""
        if self._process is not None:
            raise AzuriteError("Azurite is already running: call stop() first")
        attempts = 3 if self._takes_any_port else 1
        for left in reversed(range(attempts)):
            try:
                self._process = self._listening_process()
                break
            except AzuriteError:
                # Between the check and its bind, another process may have taken the port.
                if not left:
                    raise
                self.port = free_port()
        self._takes_any_port = False
        return self

    def _listening_process(self) -> Child:
        if not PROGRAM.exists():
            raise AzuriteError(f"{PROGRAM} is missing: run `npm ci` in the repository")
        where = ["--location", str(self.folder)] if self.folder else ["--inMemoryPersistence"]
        process = child.start(
            [
                *(str(PROGRAM), "--blobHost", "127.0.0.1", "--blobPort", str(self.port), *where),
                *("--skipApiVersionCheck", "--disableTelemetry", "--silent"),
            ]
        )
        try:
            said = child.said_until(process, LISTENING, self._start_timeout)
        except BaseException:
            child.end(process, signal.SIGKILL)
            raise
        # Wait for its own log line: another server could have answered on the port.
        if LISTENING not in said:
            child.end(process, signal.SIGKILL)
            raise AzuriteError(
                f"Azurite did not listen on port {self.port} in {self._start_timeout:g} s; it said:\n{said}"
            )
        return process
