"""The metadata of a file is parsed as a whole, or not at all."""

from dataclasses import asdict, replace

import pytest

from shared.protocol.commit_metadata import CONNECTIONS, CommitMetadata
from tests.shared.audit.made import committed

METADATA = committed()[1][1].metadata
TEXTS = {name: str(value) for name, value in asdict(METADATA).items()}


def test_metadata_is_parsed_and_other_keys_are_ignored() -> None:
    assert CommitMetadata.of(TEXTS | {"rows": "8"}) == METADATA


@pytest.mark.parametrize("name", TEXTS)
def test_metadata_without_a_field_belongs_to_no_commit(name: str) -> None:
    assert CommitMetadata.of({key: value for key, value in TEXTS.items() if key != name}) is None


@pytest.mark.parametrize("change", [{"ordinal": "x"}, {"sequences": "a-b"}, {"files_before": ""}])
def test_metadata_with_another_type_belongs_to_no_commit(change: dict[str, str]) -> None:
    assert CommitMetadata.of(TEXTS | change) is None


def test_refilled_envelopes_are_not_counted_again() -> None:
    assert [replace(METADATA, verdict=verdict).envelopes for verdict in ("new", "stale", "lost")] == [
        10,
        10,
        0,
    ]


def test_files_of_connections_have_no_sequence_numbers() -> None:
    names = ("ordinal", "commit_id", "committed_at", "commit_files", "commit_rows", "formats")
    own = {name: TEXTS[name] for name in (*names, "files_before", "rows_before", "chain_before")}
    found = CommitMetadata.of_connections(own | {"manifest_id": "m"})
    assert found
    assert (found.partition, found.ledger_id, found.envelopes, found.verdict) == (CONNECTIONS, "m", 0, "new")
    assert CommitMetadata.of_connections({}) is None
