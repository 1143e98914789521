"""The settings of the command line, which needs no hub for most commands."""

from shared.settings import Settings


class OperatorSettings(Settings):
    """The settings of the function app. Those of the hub may be missing."""

    EVENT_HUB_NAME: str = ""
    EVENT_HUB_CONSUMER_GROUP: str = ""

    def _services(self) -> tuple[tuple[str, str], ...]:
        return (("OutputStorage", "blobServiceUri"),)

    @property
    def without(self) -> tuple[str, ...]:
        """Returns the settings that are missing for querying the hub; empty if it can be queried."""
        connection = (
            ()
            if self.hub.string or self.hub.address
            else ("EventHubConnection (or EventHubConnection__fullyQualifiedNamespace)",)
        )
        return connection + (() if self.EVENT_HUB_NAME else ("EVENT_HUB_NAME",))


class HubSettings(OperatorSettings):
    """The settings for a command that needs only the hub."""

    def _services(self) -> tuple[tuple[str, str], ...]:
        return ()
