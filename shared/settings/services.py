"""The settings that say how to reach the hub and the storage accounts."""

from datetime import timedelta

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.policies import Connection
from shared.settings.value_types import Duration


class ServiceSettings(BaseSettings):
    """How to reach the Event Hub, the output, the state and the host's checkpoints."""

    model_config = SettingsConfigDict(
        case_sensitive=False, frozen=True, extra="ignore", env_ignore_empty=True
    )

    EventHubConnection: str = Field(
        "", description="Connection string of the Event Hubs namespace. Alternatively, set the next setting."
    )
    EventHubConnection__fullyQualifiedNamespace: str = Field(
        "",
        pattern=r"^[A-Za-z0-9.-]*$",
        description="Host name of the namespace, for access with a managed identity.",
    )
    EventHubConnection__clientId: str = Field("", description="Client ID of the identity for the hub.")
    EVENT_HUB_NAME: str = Field(min_length=1, description="The hub that the diagnostic setting streams into.")
    EVENT_HUB_CONSUMER_GROUP: str = Field(
        min_length=1, description="A consumer group of that hub that no other application uses."
    )
    EVENT_HUB_OPERATOR_CONSUMER_GROUP: str = Field(
        "operator",
        description="A second consumer group of that hub. `redeliver` and `reset-checkpoint` read in it, and the timer uses it to find an event that stops a partition.",
    )
    EVENT_HUB_RETENTION: Duration = Field(
        timedelta(0),
        ge=timedelta(0),
        description="How long the hub keeps events, to report how much time is left before it deletes events that are not exported yet; 0 turns the report off.",
    )

    OutputStorage: str = Field(
        "",
        description="Connection string of the output storage account. Alternatively, set the next setting.",
    )
    OutputStorage__blobServiceUri: str = Field("", description="Blob service URI of the output account.")
    OutputStorage__clientId: str = Field("", description="Client ID of the identity for the output account.")
    StateStorage: str = Field(
        "",
        description="Connection string of the storage account for the state container; if empty, the output account is used.",
    )
    StateStorage__blobServiceUri: str = Field("", description="Blob service URI of the state account.")
    StateStorage__clientId: str = Field("", description="Client ID of the identity for the state account.")
    AzureWebJobsStorage: str = Field(
        "",
        description="Connection string of the storage account of the Functions host, which keeps its checkpoints there. Alternatively, set the next setting.",
    )
    AzureWebJobsStorage__blobServiceUri: str = Field("", description="Blob service URI of that account.")
    AzureWebJobsStorage__clientId: str = Field("", description="Client ID of the identity for that account.")

    @property
    def hub(self) -> Connection:
        """The Event Hubs namespace."""
        return self._connection("EventHubConnection", "fullyQualifiedNamespace")

    @property
    def output(self) -> Connection:
        """The output storage account."""
        return self._connection("OutputStorage", "blobServiceUri")

    @property
    def state(self) -> Connection:
        """The storage account of the state container."""
        state = self._connection("StateStorage", "blobServiceUri")
        return state if state.string or state.address else self.output

    @property
    def checkpoints(self) -> Connection:
        """The storage account of the Functions host; empty if the checkpoints cannot be reached."""
        return self._connection("AzureWebJobsStorage", "blobServiceUri")

    def _connection(self, name: str, address: str) -> Connection:
        return Connection(
            string=getattr(self, name) or None,
            address=getattr(self, f"{name}__{address}") or None,
            client_id=getattr(self, f"{name}__clientId") or None,
        )
