"""A wrong setting prevents the start, with a message that names it, its value, and what is allowed."""

from datetime import timedelta

import pytest

from shared import settings
from shared.errors import SettingError
from shared.settings import SECRETS, Settings

GOOD = {
    "EventHubConnection": "Endpoint=sb://a/;SharedAccessKeyName=n;SharedAccessKey=hidden",
    "OutputStorage__blobServiceUri": "https://out.blob.core.windows.net",
    "EVENT_HUB_NAME": "apim-logs",
    "EVENT_HUB_CONSUMER_GROUP": "exporter",
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name, raising=False)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)


def test_only_required_settings_must_be_set() -> None:
    loaded = settings.load()
    assert loaded.export_policy.formats == ("parquet",)
    assert loaded.export_policy.max_age == timedelta(days=7)
    assert loaded.output.address == "https://out.blob.core.windows.net"
    assert loaded.state == loaded.output


@pytest.mark.parametrize("name", ["EVENT_HUB_NAME", "EVENT_HUB_CONSUMER_GROUP"])
def test_a_missing_setting_is_named_with_its_meaning(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(SettingError) as error:
        settings.load()
    assert f"{name}: is required but not set" in str(error.value)
    assert str(Settings.model_fields[name].description) in str(error.value)


@pytest.mark.parametrize("name", ["EventHubConnection", "OutputStorage__blobServiceUri"])
def test_a_service_that_cannot_be_reached_either_way_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(
        SettingError, match=rf"{name.partition('__')[0]}: set it to a connection string, or set"
    ):
        settings.load()


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


def test_every_contradiction_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OutputStorage__blobServiceUri")
    monkeypatch.setenv("MEMORY_BUDGET", str(31 << 20))
    with pytest.raises(SettingError, match="OutputStorage: set it") as error:
        settings.load()
    assert "COMMIT_BYTES: must not be larger than MEMORY_BUDGET" in str(error.value)


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


def test_durations_have_a_unit_or_are_hh_mm_ss_or_iso_8601(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OUTPUT_FORMATS", "parquet, json")
    monkeypatch.setenv("WS_CLOSING_EVENTS", "Bye,Failed")
    monkeypatch.setenv("RECORD_MAX_AGE", "36:00:00")
    monkeypatch.setenv("RECORD_MAX_LEAD", "PT90M")
    monkeypatch.setenv("WS_GRACE", "90s")
    monkeypatch.setenv("WS_LATE_WINDOW", "2d")
    loaded = settings.load()
    assert loaded.export_policy.formats == ("parquet", "json")
    assert loaded.WS_CLOSING_EVENTS == ("Bye", "Failed")
    assert loaded.export_policy.max_age == timedelta(hours=36)
    assert loaded.export_policy.max_lead == timedelta(minutes=90)
    assert (timedelta(seconds=90), timedelta(days=2)) == (loaded.WS_GRACE, loaded.WS_LATE_WINDOW)


def test_a_repeated_format_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTPUT_FORMATS", "json,parquet,json")
    assert settings.load().export_policy.formats == ("json", "parquet")


def test_every_writer_of_parquet_uses_the_codec_of_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARQUET_COMPRESSION", "zstd")
    loaded = settings.load()
    for policy in (loaded.export_policy, loaded.finish_policy, loaded.compaction_policy):
        assert policy.compression == "zstd"


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTPUT_FORMATS", "")
    assert settings.load().export_policy.formats == ("parquet",)


def test_a_commit_may_not_be_larger_than_the_memory_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMIT_BYTES", str(65 << 20))
    with pytest.raises(SettingError, match="COMMIT_BYTES"):
        settings.load()


def test_the_state_may_be_in_another_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("StateStorage__blobServiceUri", "https://state.blob.core.windows.net")
    assert settings.load().state.address == "https://state.blob.core.windows.net"


def test_every_setting_has_a_meaning() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_a_hash_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASH_COLUMNS", "Source, Error")
    with pytest.raises(SettingError, match="HASH_KEY: must have at least 16 characters"):
        settings.load()
    monkeypatch.setenv("HASH_KEY", "0123456789abcdef")
    assert settings.load().export_policy.redaction.hash_columns == ("Source", "Error")
    assert "0123456789abcdef" not in repr(settings.load().export_policy)
