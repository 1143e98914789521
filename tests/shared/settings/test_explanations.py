"""The message for a wrong setting names it, its value, and what is allowed."""

from datetime import timedelta

import pytest

from shared import settings
from shared.errors import SettingError
from shared.settings import SECRETS, Settings
from shared.settings.explanations import written


@pytest.mark.parametrize("name", ["EVENT_HUB_NAME", "EVENT_HUB_CONSUMER_GROUP"])
def test_a_missing_setting_is_named_with_its_meaning(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(SettingError) as error:
        settings.load()
    assert f"{name}: is required but not set" in str(error.value)
    assert str(Settings.model_fields[name].description) in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("PARQUET_COMPRESSION", "lzo", "must be 'snappy', 'gzip' or 'zstd'; got 'lzo'."),
        ("OUTPUT_FORMATS", "csv", "must be 'parquet' or 'json'; got 'csv'. The default is parquet."),
        ("OUTPUT_FORMATS", ",", "must be a name or a comma-separated list of names, not empty; got ''"),
        ("WS_CLOSING_EVENTS", ",", "must be a name or a comma-separated list of names, not empty; got ''"),
        ("RECORD_MAX_AGE", "a week", "must be a duration such as 90s, 15m, 24h, 7d, 01:30:00 or PT90M"),
        ("RECORD_MAX_AGE", "32d", "must be at most 744:00:00; got "),
        ("WS_GRACE", "90", "must be a duration such as 90s, 15m, 24h, 7d, 01:30:00 or PT90M; got '90'"),
        ("WS_GRACE", "-00:01:00", "must be more than 00:00:00"),
        ("COMMIT_BYTES", "12", "must be at least 1048576; got '12'"),
        ("COMMIT_BYTES", "much", "must be a whole number; got 'much'. The default is 33554432."),
        ("COMPACT_ENABLED", "perhaps", "must be true or false; got 'perhaps'. The default is true."),
        (
            "EventHubConnection__fullyQualifiedNamespace",
            "sb://a/",
            "must be a host name such as example.servicebus.windows.net",
        ),
        ("HASH_COLUMNS", "TimeGenerated", "'TimeGenerated' is not a text column; allowed are CorrelationId,"),
        ("DROP_COLUMNS", "CorrelationId", "'CorrelationId' cannot be left empty; allowed are"),
        ("REDACT", "all", "must be 'credentials', 'queries' or 'off'"),
        ("OutputStorage", "wrong", "is not a connection string of a storage account"),
        ("WS_OPENING_EVENTS", "Hello,closed", "'closed' is also in WS_CLOSING_EVENTS"),
        (
            "COLUMN_KEYS",
            "EventName",
            "must be columns with keys, such as EventName=properties.event|operation;",
        ),
        ("COLUMN_KEYS", "Name=x", "'Name' is not a column that records fill; allowed are CorrelationId, "),
        ("COLUMN_KEYS", "EventName=source", "'source' cannot be a key of EventName: Source is read from it"),
        ("WS_QUIET_TIMEOUT", "25h", "must not be longer than WS_IDLE_TIMEOUT"),
        (
            "OutputStorage__blobServiceUri",
            "account",
            "such as https://account.blob.core.windows.net; got 'acc",
        ),
        ("StateStorage__blobServiceUri", "http://a", "must be an address such as https://"),
        ("OUTPUT_CONTAINER", "My_logs", "must have 3 to 63 lower-case letters, digits and single hyphens"),
        ("STATE_CONTAINER", "a--b", "must have 3 to 63 lower-case letters"),
        ("OUTPUT_CONTAINER", "websocket-logs-state", "must not be STATE_CONTAINER, which holds the ledgers"),
        ("EVENT_HUB_OPERATOR_CONSUMER_GROUP", "Exporter", "must not be EVENT_HUB_CONSUMER_GROUP"),
        ("COMPACT_KEEP", "1d", "must be 0 unless DELTA_LOG is true"),
        ("PARQUET_RETENTION", "24h", "must be more than a day longer than COMPACT_KEEP"),
    ],
)
def test_a_wrong_value_is_shown_with_what_is_allowed(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingError) as error:
        settings.load()
    assert str(error.value).startswith(f"{name}: ")
    assert allowed in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert "timedelta" not in str(error.value)


def test_every_wrong_setting_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORD_MAX_AGE", "x")
    monkeypatch.setenv("OUTPUT_FORMATS", "y")
    with pytest.raises(SettingError) as error:
        settings.load()
    assert {line.partition(":")[0] for line in str(error.value).splitlines()} == {
        "RECORD_MAX_AGE",
        "OUTPUT_FORMATS",
    }


def test_no_message_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORD_MAX_AGE", "x")
    monkeypatch.delenv("OutputStorage__blobServiceUri")
    with pytest.raises(SettingError) as error:
        settings.load()
    assert "hidden" not in str(error.value)
    assert set(Settings.model_fields) >= SECRETS


def test_durations_are_written_as_in_the_environment() -> None:
    assert written(timedelta(days=1, hours=1, minutes=2, seconds=59)) == "25:02:59"
