"""Runs everything that the exporter needs from Azure locally: Blob Storage, an Event Hub, Functions hosts."""

import gzip
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from azure.storage.blob import BlobServiceClient, ContainerClient

from local.emulators.azurite import Azurite
from local.emulators.event_hubs.process import BrokerProcess
from local.emulators.functions_host.process import HostProcess
from local.emulators.waiting import LIMIT, PATIENCE, SHOWN, wait_until
from shared.compaction import compaction_state
from shared.protocol.ledger import Counts, Ledger
from shared.protocol.storage import DEAD_LETTERS

ROOT = Path(__file__).resolve().parents[1]
HUB, GROUP, OPERATORS = "apim-logs", "exporter", "operator"
OUTPUT, STATE = "websocket-logs", "websocket-logs-state"
REJECTED = "websocket-logs-dead-letters"
"""The container of the dead letters."""
ALARM = re.compile(r"\b(Ledger(Error|Missing|RolledBack|TooNew|TooLarge)|OutputConflict): .*")
"""An error after which retries cannot succeed, because an operator or a fix must come first."""


class Stack:
    """The running emulators (Azurite and the broker); `host` starts Functions hosts.

    Args:
        folder: the folder in which Azurite and the broker keep their data.
        partitions: the number of partitions of the hub.
        settings: application settings in addition to those that connect to the emulators.
        ports: the ports of Azurite and the broker; 0 chooses a free one.
        time_scale: the factor for the delays of retries and of restarts of workers.
    """

    def __init__(
        self,
        folder: Path,
        partitions: int = 4,
        settings: Mapping[str, str] | None = None,
        ports: tuple[int, int] = (0, 0),
        time_scale: float = 1,
    ) -> None:
        self.folder = folder
        self.azurite = Azurite(ports[0], folder / "azurite")
        self.broker = BrokerProcess(
            folder / "hub", {HUB: partitions}, groups=[GROUP, OPERATORS], port=ports[1]
        )
        self._settings = dict(settings or {})
        self.app = ROOT
        """The folder of the function app that hosts run."""
        self._stack = ExitStack()
        self.hosts: list[HostProcess] = []
        """Every host that was started."""
        self._time_scale = time_scale
        self.partitions = partitions
        self._containers: dict[str, ContainerClient] = {}

    @property
    def settings(self) -> dict[str, str]:
        """The application settings that a host of this stack gets."""
        return {
            "AzureWebJobsStorage": self.azurite.connection_string,
            "EventHubConnection": self.broker.connection_string,
            "EVENT_HUB_NAME": HUB,
            "EVENT_HUB_CONSUMER_GROUP": GROUP,
            "OutputStorage": self.azurite.connection_string,
            "OUTPUT_CONTAINER": OUTPUT,
            "DEAD_LETTER_CONTAINER": REJECTED,
            "STATE_CONTAINER": STATE,
            "OUTPUT_FORMATS": "parquet,json",
            # Short, because a person waits for finished connections; a later record only adds a revision.
            "WS_GRACE": "00:00:02",
            "WS_IDLE_TIMEOUT": "00:00:05",
            "WS_QUIET_TIMEOUT": "00:00:05",
            # The real host, too, takes parts of host.json from settings; here nobody waits for full batches.
            "AzureFunctionsJobHost__extensions__eventHubs__maxWaitTime": "00:00:02",
            # No other host takes over partitions, so a shorter interval only makes the host faster.
            "AzureFunctionsJobHost__extensions__eventHubs__loadBalancingUpdateInterval": "00:00:01",
            "AzureFunctionsJobHost__extensions__eventHubs__partitionOwnershipExpirationInterval": "00:00:05",
        } | self._settings

    def host(self, name: str | None = None, *, settings: Mapping[str, str] | None = None) -> HostProcess:
        """Starts a Functions host that runs this repository's app, without waiting until it is ready.

        `settings` override those of the stack.
        """
        default = f"host{len(self.hosts) + 1}"
        host = HostProcess(
            self.app,
            self.settings | dict(settings or {}),
            name=name or default,
            log=self.folder / f"{default}.log",
            time_scale=self._time_scale,
        )
        self.hosts.append(host)
        return self._stack.enter_context(host)

    def container(self, name: str) -> ContainerClient:
        """Returns a client for one of the containers."""
        if name not in self._containers:
            service = BlobServiceClient.from_connection_string(self.azurite.connection_string)
            self._containers[name] = self._stack.enter_context(service).get_container_client(name)
        return self._containers[name]

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._stack.enter_context(self.azurite)
        self._stack.enter_context(self.broker)
        for name in (OUTPUT, REJECTED, STATE):
            container = self.container(name)
            if not container.exists():
                container.create_container()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def wait_until(
        self,
        condition: Callable[[], bool],
        expected: str,
        seen: Callable[[], object] | None = None,
        *,
        patience: float = PATIENCE,
        limit: float = LIMIT,
    ) -> None:
        """Waits until hosts have done something; `seen` shows their progress (default: that of the export).

        Raises WaitError, immediately if no host runs or one has raised an alarm; see local/emulators/waiting.
        """
        wait_until(
            condition,
            expected,
            seen=seen or self.progress,
            hopeless=self._hopeless,
            log=self._logs,
            patience=patience,
            limit=limit,
            pause=0.2,
        )

    def _hopeless(self) -> str:
        """Returns why hosts will do nothing more; empty if they will."""
        if not any(host.running for host in self.hosts):
            return "no host is running"
        for host in self.hosts:
            for event in list(host.seen):
                if alarm := ALARM.search(event.get("error") or ""):
                    return f"{host.name} reported {alarm[0]}"
        return ""

    def _logs(self) -> str:
        """Returns the end of the log of each host that runs, or else of the last one."""
        shown = [host for host in self.hosts if host.running] or self.hosts[-1:]
        size = SHOWN // max(1, len(shown)) - 100
        return "\n".join(f"the log of {host.name} ends:\n{host.log[-size:]}" for host in shown)

    def ledgers(self) -> list[Ledger]:
        """Returns every ledger in the state container."""
        state = self.container(STATE)
        names = state.list_blob_names(name_starts_with="ledgers/")
        return [Ledger.parse(state.download_blob(name).readall(), name) for name in names]

    def committed(self) -> dict[str, int]:
        """Returns the number of committed envelopes by partition id."""
        return {
            ledger.partition.rpartition("/")[2]: ledger.incarnation.next or 0 for ledger in self.ledgers()
        }

    def counts(self) -> Counts:
        """Returns the sum of the counts of all ledgers."""
        total = Counts()
        for ledger in self.ledgers():
            total = total.plus(ledger.counts)
        return total

    def compaction(self) -> compaction_state.CompactionState:
        """Returns the state of compaction."""
        blob = self.container(STATE).get_blob_client(compaction_state.NAME)
        return (
            compaction_state.CompactionState.parse(blob.download_blob().readall())
            if blob.exists()
            else compaction_state.CompactionState()
        )

    def published(self) -> bool:
        """Whether every file that a ledger lists is visible, which is a moment after the commit."""
        return not self._hidden()

    def progress(self) -> str:
        """Describes the progress of the export."""
        return f"committed envelopes {self.committed()}, files that are not visible {self._hidden()}"

    def _hidden(self) -> list[str]:
        listed = {file.name for ledger in self.ledgers() for file in ledger.files}
        return sorted(listed - set(self.files(""))) if listed else []

    def files(self, prefix: str) -> list[str]:
        """Returns the visible output files with this prefix."""
        return sorted(
            name
            for container in (OUTPUT, REJECTED)
            for name in self.container(container).list_blob_names(name_starts_with=prefix)
        )

    def holder(self, name: str) -> ContainerClient:
        """Returns the container in which an output file of this name is stored."""
        return self.container(REJECTED if name.startswith(f"{DEAD_LETTERS}/") else OUTPUT)

    def download(self, names: Iterable[str], folder: Path) -> Path:
        """Copies output files into a folder, under their names."""
        for name in names:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(self.holder(name).download_blob(name).readall())
        return folder

    def rejected(self) -> dict[str, int]:
        """Returns the number of rejections in the dead letters, by reason."""
        total: Counter[str] = Counter()
        for letter in self.dead_letters():
            total.update(letter["counts"])
        return dict(total)

    def table(self, name: str) -> pa.Table:
        """Returns all rows of an exported table, from its Parquet files."""
        output = self.container(OUTPUT)
        tables = [
            pq.read_table(pa.BufferReader(output.download_blob(file).readall()))
            for file in self.files(f"parquet/{name}/date=")
        ]
        return pa.concat_tables(tables)

    def dead_letters(self) -> list[dict[str, Any]]:
        """Returns every dead letter."""
        return [
            orjson.loads(line)
            for file in self.files(f"{DEAD_LETTERS}/")
            for line in gzip.decompress(self.holder(file).download_blob(file).readall()).splitlines()
        ]
