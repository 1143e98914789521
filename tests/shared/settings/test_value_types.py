"""Durations and lists are parsed in the forms that people write."""

from datetime import timedelta

import pytest

from shared import settings


def test_durations_have_a_unit_or_a_standard_format(
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
