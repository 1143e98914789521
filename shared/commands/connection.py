"""Loads the settings of a command, and connects it to the containers that they name."""

from shared import settings
from shared.azure import access, blob_storage
from shared.commands import console
from shared.protocol.storage import LogStorage
from shared.settings import Settings
from shared.settings.command_line import OperatorSettings


def configured() -> OperatorSettings:
    """Returns the app's settings. Those of the hub may be missing."""
    return settings.load_as(OperatorSettings)


def connect(config: Settings, *, dead_letters: bool = True) -> LogStorage:
    """Checks the containers that the settings name, and returns the storage. Raises AccessError within 30 s.

    `dead_letters`: whether the dead-letter container must be readable, too.
    """
    access.check(config.output, config.OUTPUT_CONTAINER, "OutputStorage", "OUTPUT_CONTAINER", console.waiting)
    state = "OutputStorage" if config.state == config.output else "StateStorage"
    access.check(config.state, config.STATE_CONTAINER, state, "STATE_CONTAINER", console.waiting)
    if dead_letters:
        check_dead_letters(config)
    return blob_storage.connect(
        config.state,
        config.output,
        config.STATE_CONTAINER,
        config.OUTPUT_CONTAINER,
        dead_letter_container=config.DEAD_LETTER_CONTAINER,
    )


def check_dead_letters(config: Settings) -> None:
    """Checks the dead-letter container, which not all readers of the output can read. Raises AccessError."""
    name = config.DEAD_LETTER_CONTAINER
    if name != config.OUTPUT_CONTAINER:
        access.check(config.output, name, "OutputStorage", "DEAD_LETTER_CONTAINER", console.waiting)
