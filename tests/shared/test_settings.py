"""A wrong setting stops the start, with a message that says which, what came, and what is allowed."""

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


def test_the_defaults_are_enough_beside_what_must_be_given() -> None:
    loaded = settings.load()
    assert loaded.rules.formats == ("parquet",)
    assert loaded.rules.max_age == timedelta(days=7)
    assert loaded.output.address == "https://out.blob.core.windows.net"
    assert loaded.state == loaded.output


@pytest.mark.parametrize("name", ["EVENT_HUB_NAME", "EVENT_HUB_CONSUMER_GROUP"])
def test_a_missing_setting_is_named_with_its_meaning(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(SettingError) as error:
        settings.load()
    assert f"{name}: is not set" in str(error.value)
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
        ("OUTPUT_FORMATS", "csv", "'parquet' or 'json'"),
        ("OUTPUT_FORMATS", ",", "at least 1 item"),
        ("PARQUET_COMPRESSION", "lzo", "'snappy', 'gzip' or 'zstd'"),
        ("RECORD_MAX_AGE", "a week", "valid timedelta"),
        ("WS_GRACE", "-00:01:00", "greater than"),
        ("COMMIT_BYTES", "12", "greater than or equal to 1048576"),
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


def test_every_wrong_setting_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_lists_are_comma_separated_and_times_are_hh_mm_ss_or_iso_8601(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OUTPUT_FORMATS", "parquet, json")
    monkeypatch.setenv("WS_CLOSING_EVENTS", "Bye,Failed")
    monkeypatch.setenv("RECORD_MAX_AGE", "36:00:00")
    monkeypatch.setenv("RECORD_MAX_LEAD", "PT90M")
    loaded = settings.load()
    assert loaded.rules.formats == ("parquet", "json")
    assert loaded.WS_CLOSING_EVENTS == ("Bye", "Failed")
    assert loaded.rules.max_age == timedelta(hours=36)
    assert loaded.rules.max_lead == timedelta(minutes=90)


def test_a_format_that_is_named_twice_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTPUT_FORMATS", "json,parquet,json")
    assert settings.load().rules.formats == ("json", "parquet")


def test_every_writer_of_parquet_uses_the_codec_of_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARQUET_COMPRESSION", "zstd")
    loaded = settings.load()
    for rules in (loaded.rules, loaded.finishing, loaded.compacting):
        assert rules.compression == "zstd"


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTPUT_FORMATS", "")
    assert settings.load().rules.formats == ("parquet",)


def test_a_commit_may_not_be_larger_than_the_memory_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMIT_BYTES", str(65 << 20))
    with pytest.raises(SettingError, match="COMMIT_BYTES"):
        settings.load()


def test_the_state_may_lie_in_another_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("StateStorage__blobServiceUri", "https://state.blob.core.windows.net")
    assert settings.load().state.address == "https://state.blob.core.windows.net"


def test_every_setting_has_a_meaning() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
