from shared.input.hub_partition import ARCHIVE, HubPartition, is_archive, is_of_hub

PARTITION = HubPartition("a.b", "c", "5")
REPLAY = PARTITION.replay(2)
ARCHIVED = HubPartition(ARCHIVE, "service/prod", "2030-01")


def test_a_partition_and_its_replays_have_one_origin() -> None:
    assert REPLAY.replay(0).origin == PARTITION.origin == PARTITION
    assert PARTITION.replay(1) != REPLAY


def test_the_text_of_a_partition_is_parsed_back() -> None:
    assert str(PARTITION) == "a.b/c/5"
    assert [HubPartition.parse(str(each)) for each in (PARTITION, REPLAY)] == [PARTITION, REPLAY]


def test_a_hub_delivers_neither_replays_nor_archives() -> None:
    partitions = [str(each) for each in (PARTITION, REPLAY, ARCHIVED, ARCHIVED.replay(0))]
    assert [is_of_hub(each) for each in partitions] == [True, False, False, False]
    assert [is_archive(each) for each in partitions] == [False, False, True, False]
