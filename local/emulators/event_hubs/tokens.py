"""Checks shared access signatures, and records which resources a connection may use.

The format is the one documented at
https://learn.microsoft.com/azure/event-hubs/authenticate-shared-access-signature:
`SharedAccessSignature sr=<resource>&sig=<signature>&se=<expiry, seconds>&skn=<key name>`.
"""

import hmac
import time
from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from .errors import UNAUTHORIZED_ACCESS, AmqpError

_PREFIX = "SharedAccessSignature "
_FIELDS = {"sr", "sig", "se", "skn"}
_NAMESPACE = ""
"""The path of a token for the whole namespace."""


@dataclass(frozen=True)
class Key:
    """A shared access key and its name."""

    name: str
    value: str


class Grants:
    """The resources that one connection may use. Without a key, it may use all of them."""

    def __init__(self, key: Key | None) -> None:
        self._key = key
        self._paths: set[str] = set()

    def add(self, token: str) -> None:
        """Grants access to the resource of a valid token; raises `AmqpError` for any other token."""
        if self._key is not None:
            self._paths.add(authorized_path(token, self._key))

    def check(self, path: str, token: str | None = None) -> None:
        """Raises `AmqpError` if neither an earlier token nor this one gives access to the path."""
        if self._key is None:
            return
        allowed = self._paths if token is None else self._paths | {authorized_path(token, self._key)}
        if not any(_covers(grant, path) for grant in allowed):
            raise AmqpError(UNAUTHORIZED_ACCESS, f"No token was given for {path!r}.")

    @property
    def takes_any_token(self) -> bool:
        """Whether there is no key to check a token against."""
        return self._key is None


def _covers(grant: str, path: str) -> bool:
    return grant in (_NAMESPACE, path) or path.startswith(f"{grant}/")


def authorized_path(token: str, key: Key) -> str:
    """Returns the path of the resource to which a valid token gives access, in lower case.

    It is a hub, a resource below a hub, or empty for the whole namespace.
    """
    raw = dict(part.partition("=")[::2] for part in token.removeprefix(_PREFIX).split("&"))
    fields = {name: values[0] for name, values in parse_qs(token.removeprefix(_PREFIX)).items()}
    if not token.startswith(_PREFIX) or not _FIELDS.issubset(fields):
        raise AmqpError(UNAUTHORIZED_ACCESS, "The token is not a shared access signature.")
    if fields["skn"] != key.name:
        raise AmqpError(UNAUTHORIZED_ACCESS, f"The token names an unknown key: {fields['skn']!r}.")
    signed = f"{raw['sr']}\n{raw['se']}".encode()
    signature = b64encode(hmac.digest(key.value.encode(), signed, "sha256"))
    if not hmac.compare_digest(signature, fields["sig"].encode()):
        raise AmqpError(UNAUTHORIZED_ACCESS, "The token's signature does not match the key.")
    if not fields["se"].isdecimal() or int(fields["se"]) < time.time():
        raise AmqpError(UNAUTHORIZED_ACCESS, "The token has expired.")
    return urlsplit(fields["sr"]).path.strip("/").lower()
