"""Checks shared access signatures.

As https://learn.microsoft.com/azure/event-hubs/authenticate-shared-access-signature has them:
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


@dataclass(frozen=True)
class Key:
    """A shared access key and its name."""

    name: str
    value: str


def authorized_path(token: str, key: Key) -> str:
    """The path of the resource that a valid token is for, lower case: a hub, or something below it."""
    raw = dict(part.partition("=")[::2] for part in token.removeprefix(_PREFIX).split("&"))
    fields = {name: values[0] for name, values in parse_qs(token.removeprefix(_PREFIX)).items()}
    if not token.startswith(_PREFIX) or not _FIELDS.issubset(fields):
        raise AmqpError(UNAUTHORIZED_ACCESS, "not a shared access signature")
    if fields["skn"] != key.name:
        raise AmqpError(UNAUTHORIZED_ACCESS, f"unknown key name {fields['skn']!r}")
    signed = f"{raw['sr']}\n{raw['se']}".encode()
    signature = b64encode(hmac.digest(key.value.encode(), signed, "sha256"))
    if not hmac.compare_digest(signature, fields["sig"].encode()):
        raise AmqpError(UNAUTHORIZED_ACCESS, "the signature doesn't match the key")
    if not fields["se"].isdecimal() or int(fields["se"]) < time.time():
        raise AmqpError(UNAUTHORIZED_ACCESS, "the token has expired")
    return urlsplit(fields["sr"]).path.strip("/").lower()
