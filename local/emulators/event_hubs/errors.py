"""The errors returned to peers, with their AMQP error conditions."""

DECODE_ERROR = "amqp:decode-error"
FRAMING_ERROR = "amqp:connection:framing-error"
CONNECTION_FORCED = "amqp:connection:forced"
NOT_ALLOWED = "amqp:not-allowed"
NOT_FOUND = "amqp:not-found"
RESOURCE_LIMIT_EXCEEDED = "amqp:resource-limit-exceeded"
UNAUTHORIZED_ACCESS = "amqp:unauthorized-access"
STOLEN = "amqp:link:stolen"
MESSAGE_SIZE_EXCEEDED = "amqp:link:message-size-exceeded"
ARGUMENT_ERROR = "com.microsoft:argument-error"
ARGUMENT_OUT_OF_RANGE = "com.microsoft:argument-out-of-range"


class AmqpError(Exception):
    """The peer's request is refused; for `condition`, see OASIS AMQP 1.0, part 2.8.15 to 2.8.18."""

    def __init__(self, condition: str, description: str) -> None:
        super().__init__(f"{condition}: {description}")
        self.condition = condition
        self.description = description


def no_entity(name: str) -> AmqpError:
    """Reports an unknown hub or consumer group with the service's wording.

    The .NET client recognizes a missing entity by this wording. With any other text, it retries for 11
    seconds (`AmqpError` in azure-sdk-for-net).
    """
    return AmqpError(NOT_FOUND, f"The messaging entity '{name}' could not be found.")
