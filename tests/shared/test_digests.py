"""The chain value of a commit depends on every file of it and of all commits before, but not on order."""

import hashlib
from dataclasses import dataclass, field

from shared import digests


@dataclass(frozen=True)
class File:
    name: str
    metadata: dict[str, str] = field(default_factory=dict)


def test_a_digest_of_bytes_is_what_sha256sum_prints() -> None:
    assert digests.of_bytes(b"abc") == hashlib.sha256(b"abc").hexdigest()


def test_a_files_digest_covers_its_name_and_metadata() -> None:
    file = digests.of_file(File("a", {"rows": "1", "sha256": "x"}))
    assert file == digests.of_file(File("a", {"sha256": "x", "rows": "1"}))
    others = [File("b", {"rows": "1", "sha256": "x"}), File("a", {"rows": "2", "sha256": "x"}), File("a")]
    assert len({file, *map(digests.of_file, others)}) == 4


def test_a_chain_value_covers_all_files_in_any_order() -> None:
    one, two = File("a"), File("b")
    assert digests.chained("x", [one, two]) == digests.chained("x", [two, one])
    assert digests.chained("x", [one]) != digests.chained("x", [one, two])
    assert digests.chained("x", [one]) == digests.of_commit([digests.of_file(one)])


def test_a_commit_without_files_leaves_the_chain_value() -> None:
    assert digests.chained(digests.GENESIS, []) == digests.GENESIS
