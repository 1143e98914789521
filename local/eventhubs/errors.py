"""The errors that a peer gets to see, with their AMQP conditions."""

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


class AmqpError(Exception):
    """Something the peer did is refused: `condition` as in OASIS AMQP 1.0, part 2.8.15 to 2.8.18."""

    def __init__(self, condition: str, description: str) -> None:
        super().__init__(f"{condition}: {description}")
        self.condition = condition
        self.description = description
