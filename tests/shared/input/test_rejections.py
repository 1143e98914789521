from hypothesis import given
from hypothesis import strategies as st

from shared.input.envelope import Envelope
from shared.input.rejections import MESSAGES, Reason, Rejections

ENVELOPE = Envelope(1, 2, b"")
REASONS = [Reason.WRONG_TYPE, Reason.UNPARSEABLE_TIME, Reason.MISSING_REQUIRED_FIELD]


@given(st.dictionaries(st.integers(0, 600), st.sampled_from(REASONS), min_size=1), st.integers(1, 7))
def test_all_indexes_and_the_first_messages_are_kept(wrong: dict[int, Reason], pieces: int) -> None:
    rejections = Rejections(ENVELOPE)
    for piece in range(pieces):
        for reason in REASONS:
            indexes = sorted(
                index for index, why in wrong.items() if why is reason and index % pieces == piece
            )
            rejections.add(reason, indexes, lambda at, indexes=indexes: (f"{indexes[at]} is wrong", "/a"))  # type: ignore[misc]
    rejected = rejections.rejected()
    assert rejected
    assert rejected.envelope is ENVELOPE
    covered = [index for first, last in rejected.indexes for index in range(first, last + 1)]
    assert covered == sorted(wrong)
    assert all(
        last + 1 < first
        for (_, last), (first, _) in zip(rejected.indexes, rejected.indexes[1:], strict=False)
    )
    assert rejected.counts == {reason: list(wrong.values()).count(reason) for reason in set(wrong.values())}
    describe_one = [(each.index, each.reason, each.message) for each in rejected.rejections]
    assert describe_one == [(index, wrong[index], f"{index} is wrong") for index in sorted(wrong)[:MESSAGES]]


def test_only_the_first_rejections_have_messages() -> None:
    made: list[int] = []

    def describe(at: int) -> tuple[str, str]:
        made.append(at)
        return "", ""

    Rejections(ENVELOPE).add(Reason.WRONG_TYPE, range(100_000), describe)
    assert len(made) == MESSAGES


def test_an_envelope_without_problems_has_no_rejection() -> None:
    rejections = Rejections(ENVELOPE)
    rejections.add(Reason.WRONG_TYPE, [], lambda _: ("", ""))
    assert rejections.rejected() is None


def test_an_envelope_is_refused_as_a_whole() -> None:
    rejections = Rejections(ENVELOPE)
    rejections.refuse("no")
    rejected = rejections.rejected()
    assert rejected
    assert rejected.indexes == ()
    assert rejected.counts == {Reason.UNREADABLE_ENVELOPE: 1}
    assert [(each.index, each.message) for each in rejected.rejections] == [(None, "no")]
