import itertools
from pathlib import Path

import pytest

from local.emulators.functions_host.process import HostError

from .conftest import App


def test_each_partition_delivers_one_batch_at_a_time(app: App) -> None:
    app.write_host_json(maxEventBatchSize=10)
    app.send(*[b"%d" % number for number in range(25)], partition="0")
    app.send(*[b"%d" % number for number in range(15)], partition="1")
    app.switch("hold")
    with app.host() as host:
        app.wait_for("begin", partition="0")
        app.wait_for("begin", partition="1")
        app.send(b"25", partition="0")
        assert [call["partition"] for call in app.notes("begin")].count("0") == 1
        app.switch("hold", on=False)
        app.wait_for("end", 3, partition="0")
        app.wait_for("end", 2, partition="1")
        host.wait_for("checkpoint", sequence=14)
        host.wait_for("checkpoint", sequence=25)
    for partition, total in (("0", 26), ("1", 15)):
        calls = app.notes("begin", partition=partition)
        assert list(itertools.chain.from_iterable(call["sequences"] for call in calls)) == list(range(total))
        assert all(len(call["bodies"]) <= 10 for call in calls)
        ends = app.notes("end", partition=partition)
        assert all(end["time"] <= begin["time"] for end, begin in zip(ends, calls[1:], strict=False))
    assert (app.checkpoint("0"), app.checkpoint("1")) == (25, 14)


def test_arguments_have_the_shapes_of_the_real_host(app: App) -> None:
    app.send(b"a", b"", b"\xff{", key="k")
    app.switch("details")
    with app.host() as host:
        host.wait_for("checkpoint")
        app.send(b"b" * 900_000)
        app.wait_for("end", 2)
    (call,) = [each for each in app.notes("begin") if len(each["bodies"]) == 3]
    (large,) = [each for each in app.notes("begin") if len(each["bodies"]) == 1]
    assert call["bodies"] == ["a", "", "\xff{"]
    assert large["bodies"] == ["b" * 900_000]
    assert call["retry"] == [0, 0]
    (details,) = [each for each in app.notes("details") if len(each["events"]) == 3]
    metadata = details["metadata"]
    assert metadata["PartitionContext"] == {
        "IsCheckpointingAfterInvocation": True,
        "FullyQualifiedNamespace": app.settings["EventHubConnection"].split("//")[1].split(";")[0],
        "EventHubName": app.hub,
        "ConsumerGroup": "$Default",
        "PartitionId": call["partition"],
    }
    assert metadata["TriggerPartitionContext"] == metadata["PartitionContext"]
    assert metadata["SequenceNumberArray"] == call["sequences"] == [0, 1, 2]
    assert metadata["OffsetArray"] == metadata["OffsetStringArray"]
    assert {type(offset) for offset in metadata["OffsetArray"]} == {str}
    assert metadata["PartitionKeyArray"] == ["k", "k", "k"]
    assert metadata["PropertiesArray"] == [{"color": "blue"}, {}, {}]
    assert metadata["SystemPropertiesArray"] == [
        {
            "x-opt-sequence-number": sequence,
            "x-opt-offset": offset,
            "x-opt-enqueued-time": f"{enqueued}+00:00",
            "x-opt-partition-key": "k",
            "SequenceNumber": sequence,
            "Offset": int(offset),
            "OffsetString": offset,
            "PartitionKey": "k",
            "EnqueuedTimeUtc": enqueued,
        }
        for sequence, offset, enqueued in zip(
            [0, 1, 2], metadata["OffsetArray"], metadata["EnqueuedTimeUtcArray"], strict=True
        )
    ]
    assert app.checkpoint_metadata(call["partition"]).keys() == {
        "offset",
        "sequencenumber",
        "clientidentifier",
    }
    # As azure.functions decodes them: offset an int, enqueued time naive.
    for event, offset in zip(details["events"], metadata["OffsetArray"], strict=True):
        assert event[:2] == [int(offset), "k"]
        assert event[2].startswith("datetime.datetime(")
        assert "tzinfo" not in event[2]


def test_a_partial_batch_waits_at_most_for_the_maximum_wait(app: App) -> None:
    app.write_host_json(minEventBatchSize=4, maxEventBatchSize=6, maxWaitTime="00:00:02")
    app.send(b"0")
    with app.host() as host:
        app.wait_for("end", 1)
        app.send(b"1", b"2")
        app.wait_for("end", 2)
        host.wait_for("checkpoint", sequence=2)
    first, second = app.notes("begin")
    assert (first["sequences"], second["sequences"]) == ([0], [1, 2])
    assert second["time"] - first["time"] >= 2


def test_two_hosts_share_partitions_and_one_takes_over(app: App) -> None:
    with app.host("one") as one:
        one.wait_for("claimed", 2)
        with app.host("two") as two:
            two.wait_for("claimed")
            one.wait_for("released")
            app.send(b"0", partition="0")
            app.send(b"0", partition="1")
            one.wait_for("checkpoint")
            two.wait_for("checkpoint")
            assert {call["pid"] for call in app.notes("end")} == {one.worker_pid, two.worker_pid}
            assert one.stop() == 0
            app.send(b"1", partition="0")
            app.send(b"1", partition="1")
            two.wait_for("checkpoint", 2, sequence=1)
    assert sorted((call["partition"], call["sequences"]) for call in app.notes("begin")) == [
        ("0", [0]),
        ("0", [1]),
        ("1", [0]),
        ("1", [1]),
    ]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (
            "\nraise ValueError('OUTPUT_FORMATS: expected parquet or json')",
            "OUTPUT_FORMATS: expected parquet",
        ),
        ("\nimport nothing_of_that_name", "No module named 'nothing_of_that_name'"),
        ("\napp = None", "Could not find top level function app"),
    ],
)
def test_an_app_that_cannot_be_indexed_has_no_functions(app: App, broken: str, message: str) -> None:
    with (app.folder / "function_app.py").open("a") as app_file:
        app_file.write(broken)
    with app.host() as host:
        with pytest.raises(HostError, match=message):
            host.wait_ready()
        (failed,) = host.wait_for("indexing_failed")
        assert message in failed["error"]
        assert host.wait_for("ready")[0]["functions"] == []
        # It idles until it is stopped.
        assert host.stop() == 0


def test_a_worker_that_dies_while_indexing_is_restarted(app: App) -> None:
    flag = app.folder / "died"
    with (app.folder / "function_app.py").open("a") as app_file:
        app_file.write(
            f"\nif not Path({str(flag)!r}).exists():"
            f"\n    Path({str(flag)!r}).touch()\n    os.kill(os.getpid(), 9)\n"
        )
    app.send(b"0")
    with app.host() as host:
        (failed,) = host.wait_for("indexing_failed")
        assert "status -9 while indexing" in failed["error"]
        host.wait_ready()
        host.wait_for("checkpoint", sequence=0)


def test_a_worker_that_always_dies_ends_the_host(app: App) -> None:
    with (app.folder / "function_app.py").open("a") as app_file:
        app_file.write("\nos.kill(os.getpid(), 9)\n")
    with app.host() as host:
        assert host.wait() == 1
        assert len(host.wait_for("indexing_failed")) == 3


def test_the_annotation_must_be_typing_list(app: App) -> None:
    app_file = app.folder / "function_app.py"
    app_file.write_text(app_file.read_text().replace("typing.List[func", "list[func"))
    with app.host() as host, pytest.raises(HostError, match=r"record function.*events"):
        host.wait_ready()


def test_storage_that_cannot_be_used_ends_the_host(app: App) -> None:
    app.settings["AzureWebJobsStorage"] = "nonsense"
    with app.host() as host, pytest.raises(HostError, match="AzureWebJobsStorage cannot be used"):
        host.wait_for("claimed")


def test_a_setting_that_does_not_resolve_ends_the_host(app: App) -> None:
    app_file = app.folder / "function_app.py"
    app_file.write_text(app_file.read_text().replace("%HUB%", "%NO_SUCH_HUB%"))
    with app.host() as host, pytest.raises(HostError, match="there is no setting NO_SUCH_HUB"):
        host.wait_ready()


def test_a_folder_without_an_app_has_no_functions(app: App) -> None:
    Path(app.folder / "function_app.py").unlink()
    with app.host() as host, pytest.raises(HostError, match=r"function_app\.py is missing"):
        host.wait_ready()
