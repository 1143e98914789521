"""A wrong setting prevents the start, with a message that names it, its value, and what is allowed."""

from datetime import timedelta

import pytest

from shared import settings
from shared.settings import Settings


def test_only_required_settings_must_be_set() -> None:
    loaded = settings.load()
    assert loaded.export_policy.formats == ("parquet",)
    assert loaded.export_policy.max_age == timedelta(days=7)
    assert loaded.output.address == "https://out.blob.core.windows.net"
    assert loaded.state == loaded.output


def test_every_writer_of_parquet_uses_the_codec_of_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARQUET_COMPRESSION", "zstd")
    loaded = settings.load()
    for policy in (loaded.export_policy, loaded.finish_policy, loaded.compaction_policy):
        assert policy.compression == "zstd"


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTPUT_FORMATS", "")
    assert settings.load().export_policy.formats == ("parquet",)


def test_every_setting_has_a_meaning() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
