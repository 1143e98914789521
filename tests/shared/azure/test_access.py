"""A container that cannot be read is explained in one sentence that says what to do, within seconds."""

import re
import socket
import time
from datetime import UTC, datetime, timedelta

import pytest
from azure.storage.blob import (
    AccountSasPermissions,
    BlobServiceClient,
    ResourceTypes,
    Services,
    generate_account_sas,
)

from local.emulators.azurite import Azurite
from shared.azure import access
from shared.errors import AccessError
from shared.policies import Connection


def problem(connection: Connection, container: str = "logs", seconds: float = 10) -> str:
    waited: list[str] = []
    with pytest.raises(AccessError) as error:
        access.check(connection, container, "OutputStorage", "OUTPUT_CONTAINER", waited.append, seconds)
    text = str(error.value)
    assert "\n" not in text
    return text


def test_a_container_that_can_be_read_passes(azurite: Azurite, unique: str) -> None:
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        service.create_container(unique)
    connection = Connection(string=azurite.connection_string)
    access.check(connection, unique, "OutputStorage", "OUTPUT_CONTAINER", pytest.fail)


def test_a_missing_container_is_named_with_its_setting(azurite: Azurite) -> None:
    text = problem(Connection(string=azurite.connection_string), "not-there")
    assert text.startswith("Container 'not-there' does not exist in 127.0.0.1")
    assert text.endswith("check OUTPUT_CONTAINER")


def test_the_error_without_credentials_says_how_to_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    text = problem(Connection(address="https://account.blob.core.windows.net"))
    assert "run `az login`, or set OutputStorage to a connection string" in text


def test_refused_ports_and_wrong_hosts_differ_from_sign_in_errors(azurite: Azurite) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    refused = azurite.connection_string.replace(f":{azurite.port}/", f":{port}/")
    assert f"Cannot connect to 127.0.0.1:{port}: check the network and OutputStorage" in problem(
        Connection(string=refused)
    )
    wrong = "DefaultEndpointsProtocol=https;AccountName=nosuch;AccountKey=YQ==;EndpointSuffix=host.invalid"
    text = problem(Connection(string=wrong))
    assert "Cannot connect to nosuch.blob.host.invalid" in text
    assert re.search(r"OutputStorage \(Failed to resolve 'nosuch\.blob\.host\.invalid' \(.*\)\)$", text)


def test_a_wrong_key_is_named(azurite: Azurite) -> None:
    parts = dict(part.partition("=")[::2] for part in azurite.connection_string.strip(";").split(";"))
    wrong = ";".join(f"{key}={'d3Jvbmc=' if key == 'AccountKey' else value}" for key, value in parts.items())
    assert "denies access: its firewall may reject this machine, or the credentials in OutputStorage are" in (
        problem(Connection(string=wrong))
    )


def test_a_missing_permission_names_the_role(azurite: Azurite, unique: str) -> None:
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        service.create_container(unique)
        sas = generate_account_sas(
            str(service.account_name),
            service.credential.account_key,
            ResourceTypes(object=True, container=True),
            AccountSasPermissions(write=True),
            datetime.now(UTC) + timedelta(hours=1),
            services=Services(blob=True),
        )
        endpoint = service.url
    text = problem(Connection(string=f"BlobEndpoint={endpoint};SharedAccessSignature={sas}"), unique)
    assert "assign the role Storage Blob Data Reader" in text


def test_a_check_of_a_silent_host_times_out_after_notices(azurite: Azurite) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        string = azurite.connection_string.replace(f":{azurite.port}/", f":{port}/")
        waited: list[str] = []
        began = time.monotonic()
        with pytest.raises(AccessError, match=f"No answer from 127.0.0.1:{port} within 3 s"):
            access.check(
                Connection(string=string), "logs", "OutputStorage", "OUTPUT_CONTAINER", waited.append, 3
            )
        assert waited == [f"waiting for 127.0.0.1:{port} (2 s)"]
        assert time.monotonic() - began < 60
