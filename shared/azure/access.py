"""Checks that a container can be read, and explains in one sentence what to do if it cannot."""

import re
from collections.abc import Callable
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.storage.blob import BlobServiceClient

from shared.azure.blob_calls import code as error_code
from shared.azure.blob_storage import credential
from shared.errors import AccessError
from shared.policies import Connection

SECONDS = 10
"""Seconds after which a check gives up."""
NOTICE = 2
"""Seconds between two messages while a check waits."""
CALL: dict[str, Any] = {"retry_total": 0, "connection_timeout": 4, "read_timeout": 4}


def check(
    connection: Connection,
    container: str,
    setting: str,
    container_setting: str,
    waiting: Callable[[str], None],
    seconds: float = SECONDS,
) -> None:
    """Lists one blob of the container.

    Args:
        connection: How to reach the storage account.
        container: Its name.
        setting: The setting that holds the connection string; `<setting>__blobServiceUri` holds the address.
            Alternatively, the option (`--…`) that holds one of them.
        container_setting: The setting that names the container.
        waiting: Receives a message every two seconds while there is no answer.
        seconds: How long to wait for an answer.

    Raises:
        AccessError: The container cannot be read. The message names the cause and the setting to check.
    """
    problems: list[Exception] = []
    done = Event()

    def look() -> None:
        try:
            _list_one(connection, container)
        except Exception as error:  # noqa: BLE001 - explained below, in the thread that waits
            problems.append(error)
        done.set()

    account = _account(connection)
    Thread(target=look, daemon=True).start()
    waited = 0.0
    while not done.wait(min(NOTICE, seconds - waited)):
        waited += NOTICE
        if waited >= seconds:
            raise AccessError(
                f"No answer from {account} within {seconds:.0f} s: check the network and "
                f"{_address_setting(connection, setting)}{_or_login(connection, setting)}"
            )
        waiting(f"waiting for {account} ({waited:.0f} s)")
    if problems:
        raise AccessError(
            _explain(problems[0], connection, account, container, setting, container_setting)
        ) from problems[0]


def _list_one(connection: Connection, container: str) -> None:
    if connection.string:
        service = BlobServiceClient.from_connection_string(connection.string, **CALL)
    else:
        service = BlobServiceClient(str(connection.address), credential(connection), **CALL)
    with service:
        client = service.get_container_client(container)
        next(client.list_blobs(results_per_page=1).by_page(), None)


def _explain(
    error: Exception,
    connection: Connection,
    account: str,
    container: str,
    setting: str,
    container_setting: str,
) -> str:
    address = _address_setting(connection, setting)
    code = error_code(error) if isinstance(error, HttpResponseError) else ""
    role = (
        f"Not allowed to list container {container!r} in {account}: assign the role Storage Blob Data Reader"
        f" (to repair: Storage Blob Data Contributor) to your identity, or check {address}"
    )
    credentials = f"{account} does not accept the credentials in {address}: copy them again"
    explained = {
        "ContainerNotFound": f"Container {container!r} does not exist in {account}:"
        f" check {container_setting}",
        "InvalidResourceName": f"No container can be named {container!r}: check {container_setting}",
        "AuthorizationPermissionMismatch": role,
        "AuthorizationResourceTypeMismatch": role,
        "AuthenticationFailed": credentials,
        "InvalidAuthenticationInfo": credentials,
        "AuthorizationFailure": f"{account} denies access: its firewall may reject this machine, or the "
        f"credentials in {address} are not valid",
    }
    if code in explained:
        return explained[code]
    match error:
        case ClientAuthenticationError():
            return f"Cannot sign in to Azure: run `az login`, or {_instead(setting)}"
        case ServiceRequestError() | ServiceResponseError():
            return f"Cannot connect to {account}: check the network and {address} ({_cause(error)})"
    return f"Cannot read container {container!r} in {account}: {code or _cause(error)}"


def _account(connection: Connection) -> str:
    """Returns the host name, for messages."""
    if connection.address:
        return urlsplit(str(connection.address)).netloc or str(connection.address)
    try:
        service = BlobServiceClient.from_connection_string(str(connection.string))
    except ValueError:
        return "the storage account"
    return service.primary_hostname.partition("/")[0]


def _address_setting(connection: Connection, setting: str) -> str:
    return setting if connection.string or _is_option(setting) else f"{setting}__blobServiceUri"


def _is_option(setting: str) -> bool:
    return setting.startswith("--")


def _instead(setting: str) -> str:
    """Returns the alternative to signing in, as part of a message."""
    if _is_option(setting):
        return f"add a SAS token to {setting}"
    return f"set {setting} to a connection string"


def _or_login(connection: Connection, setting: str) -> str:
    """Returns a hint to sign in, because that may have taken so long; empty with a connection string."""
    if connection.string:
        return ""
    return f". If you are not signed in, run `az login`, or {_instead(setting)}"


def _cause(error: BaseException) -> str:
    """Returns the innermost reason on one line, such as `Connection refused`."""
    innermost: BaseException | None = error
    while innermost:
        error, innermost = innermost, innermost.__cause__ or innermost.__context__
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    # urllib3 names the connection first, which the message already does.
    reason = re.sub(r"^\w+\(host='[^']*', port=\d+\): ", "", reason)
    return " ".join(reason.split())[:120] or type(error).__name__
