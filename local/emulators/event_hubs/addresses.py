"""Parses link addresses.

`hub`, `hub/Partitions/0`, `hub/ConsumerGroups/$Default/Partitions/0`, `$cbs` or `$management`.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from .errors import NOT_FOUND, AmqpError

CBS, MANAGEMENT = "$cbs", "$management"
_KINDS = {"consumergroups", "partitions"}


@dataclass(frozen=True)
class Address:
    """The target of a link. Names are case-insensitive, as in the service."""

    path: str
    hub: str
    group: str | None
    partition_id: str | None


def parse(address: str) -> Address:
    """Splits an address into its parts. The SDK writes an address as a URL, with host and port."""
    path = urlsplit(address).path.strip("/").lower()
    hub, *rest = path.split("/")
    parts = dict(zip(rest[::2], rest[1::2], strict=False))
    if not hub or len(rest) % 2 or not parts.keys() <= _KINDS:
        raise AmqpError(NOT_FOUND, f"There is no node at the address {address!r}.")
    return Address(path, hub, parts.get("consumergroups"), parts.get("partitions"))
