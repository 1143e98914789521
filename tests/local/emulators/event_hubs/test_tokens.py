import time

import pytest

from local.emulators.event_hubs.errors import AmqpError
from local.emulators.event_hubs.tokens import Key, authorized_path

from .clients import sas_token

KEY = Key("Root", "a+key/with=signs")
# From the time of collection; a long test run must not outlast it.
LATER = int(time.time()) + 86_400


def test_a_token_of_the_sdk_gives_access_to_its_resource() -> None:
    token = sas_token("sb://127.0.0.1:5673/Logs/consumergroups/$Default", KEY.name, KEY.value, LATER)
    assert authorized_path(token, KEY) == "logs/consumergroups/$default"


@pytest.mark.parametrize(
    ("token", "words"),
    [
        (sas_token("sb://h/logs", KEY.name, "other", LATER), "signature"),
        (sas_token("sb://h/logs", "Other", KEY.value, LATER), "unknown key"),
        (sas_token("sb://h/logs", KEY.name, KEY.value, 1000), "expired"),
        (sas_token("sb://h/logs", KEY.name, KEY.value, LATER).replace("logs", "other"), "signature"),
        (
            sas_token("sb://h/logs", KEY.name, KEY.value, LATER).replace("&se=", "&x="),
            "is not a shared",
        ),
        ("", "is not a shared"),
        ("eyJhbGciOi", "is not a shared"),
    ],
)
def test_any_other_token_is_refused(token: str, words: str) -> None:
    with pytest.raises(AmqpError, match=f"amqp:unauthorized-access.*{words}"):
        authorized_path(token, KEY)
