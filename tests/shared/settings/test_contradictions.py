"""Settings that contradict each other are rejected with a sentence for each problem."""

import pytest

from shared import settings
from shared.errors import SettingError


def test_every_contradiction_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OutputStorage__blobServiceUri")
    monkeypatch.setenv("MEMORY_BUDGET", str(31 << 20))
    with pytest.raises(SettingError, match="OutputStorage: set it") as error:
        settings.load()
    assert "COMMIT_BYTES: must not be larger than MEMORY_BUDGET" in str(error.value)


def test_a_commit_may_not_exceed_the_memory_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMMIT_BYTES", str(65 << 20))
    with pytest.raises(SettingError, match="COMMIT_BYTES"):
        settings.load()


def test_a_hash_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASH_COLUMNS", "Source, Error")
    with pytest.raises(SettingError, match="HASH_KEY: must have at least 16 characters"):
        settings.load()
    monkeypatch.setenv("HASH_KEY", "0123456789abcdef")
    assert settings.load().export_policy.redaction.hash_columns == ("Source", "Error")
    assert "0123456789abcdef" not in repr(settings.load().export_policy)


def test_a_delta_log_needs_parquet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELTA_LOG", "true")
    assert settings.load().compaction_policy.delta
    monkeypatch.setenv("OUTPUT_FORMATS", "json")
    with pytest.raises(SettingError, match="DELTA_LOG: must be false unless OUTPUT_FORMATS lists parquet"):
        settings.load()
