import os
import signal
import time
from pathlib import Path

import pytest

from local.emulators.waiting import wait_until

from .conftest import App


def gone(pid: int) -> bool:
    try:
        # A zombie is dead, but its parent has not reaped it yet.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until_gone(pid: int) -> None:
    wait_until(lambda: gone(pid), f"the end of process {pid}", pause=0.02)


def test_a_failure_without_a_retry_policy_moves_the_checkpoint(app: App) -> None:
    app.send(b"0", b"1")
    app.switch("fail")
    with app.host() as host:
        (failed,) = host.wait_for("invocation", ok=False)
        assert "told to fail" in failed["error"]
        host.wait_for("checkpoint", sequence=1)
        app.switch("fail", on=False)
        app.send(b"2")
        host.wait_for("checkpoint", sequence=2)
    assert app.checkpoint() == 2
    assert [call["sequences"] for call in app.notes("end")] == [[2]]


def test_a_retry_repeats_the_batch_and_delays_the_checkpoint(app: App) -> None:
    app.send(b"0", b"1")
    app.switch("fail")
    with app.host(RETRY="-1") as host:
        host.wait_for("invocation", 2, ok=False)
        app.send(b"2")
        assert app.checkpoint() is None
        app.switch("fail", on=False)
        app.wait_for("end", 2)
        host.wait_for("checkpoint", sequence=2)
        assert [line["sequence"] for line in host.wait_for("checkpoint")] == [1, 2]
    calls = app.notes("begin")
    retries = len(calls) - 1
    assert [call["sequences"] for call in calls] == [[0, 1]] * retries + [[2]]
    assert [call["retry"] for call in calls] == [*[[n, -1] for n in range(retries)], [0, -1]]
    # As in the real host: one id and one trace for all attempts of a batch.
    assert len({tuple(call["invocation"]) for call in calls[:-1]}) == 1
    assert calls[-1]["invocation"] != calls[0]["invocation"]


def test_a_finite_retry_loses_the_batch_at_its_end(app: App) -> None:
    app.send(b"0")
    app.switch("fail")
    with app.host(RETRY="1") as host:
        host.wait_for("checkpoint", sequence=0)
        assert [line["retry"] for line in host.wait_for("invocation", 2)] == [0, 1]
    assert [call["retry"] for call in app.notes("begin")] == [[0, 1], [1, 1]]
    assert app.checkpoint() == 0


def test_a_stop_keeps_listening_and_writes_no_checkpoint(app: App) -> None:
    app.send(b"0", partition="0")
    app.switch("hold-0")
    with app.host(grace=6, TIMER="*/1 * * * * *") as host:
        app.wait_for("begin", partition="0")
        os.kill(host.pid, signal.SIGTERM)
        host.wait_for("stopping")
        ticks = len(app.notes("tick"))
        app.wait_for("tick", ticks + 2)
        app.send(b"0", partition="1")
        app.wait_for("end", partition="1")
        app.switch("hold-0", on=False)
        assert host.wait() == 0
        order = [event["event"] for event in host.seen]
        stopping, stopped = order.index("stopping"), order.index("listeners_stopped")
        assert order[stopping:stopped].count("invocation") >= 4
        assert "invocation" not in order[stopped:]
    assert (app.checkpoint("0"), app.checkpoint("1")) == (None, None)
    with app.host() as host:
        host.wait_for("checkpoint", 2, sequence=0)
    assert [call["sequences"] for call in app.notes("end")] == [[0]] * 4


def test_a_batch_stopped_between_retries_is_delivered_after_restart(app: App) -> None:
    app.send(b"0")
    app.switch("fail")
    with app.host(RETRY="1000") as host:
        host.wait_for("invocation", ok=False)
        assert host.stop() == 0
    assert app.checkpoint() is None
    app.switch("fail", on=False)
    with app.host() as host:
        host.wait_for("checkpoint", sequence=0)


def test_an_invocation_longer_than_the_grace_is_cut_off(app: App) -> None:
    app.send(b"0")
    app.switch("hold")
    with app.host(grace=0.2) as host:
        app.wait_for("begin")
        assert host.stop() == 0
        wait_until_gone(host.worker_pid)
    assert app.checkpoint() is None
    assert not app.notes("end")


def test_a_killed_host_ends_its_worker_and_the_next_redelivers(app: App) -> None:
    # The partitions of a killed host are free once its ownership has expired.
    app.write_host_json(partitionOwnershipExpirationInterval="00:00:03")
    app.send(b"0")
    with app.host() as host:
        host.wait_for("checkpoint", sequence=0)
        app.switch("hold")
        app.send(b"1")
        app.wait_for("begin", 2)
        host.kill()
        wait_until_gone(host.worker_pid)
    app.switch("hold", on=False)
    with app.host() as host:
        host.wait_for("checkpoint", sequence=1)
    assert [call["sequences"] for call in app.notes("begin")] == [[0], [1], [1]]
    assert [call["sequences"] for call in app.notes("end")] == [[0], [1]]


def test_a_new_worker_serves_the_retry_of_a_killed_one(app: App) -> None:
    app.send(b"0")
    app.switch("hold")
    with app.host(RETRY="-1") as host:
        host.wait_ready()
        app.wait_for("begin")
        killed = host.kill_worker()
        (failed,) = host.wait_for("invocation", ok=False)
        assert "status -9" in failed["error"]
        app.switch("hold", on=False)
        host.wait_for("checkpoint", sequence=0)
        assert host.worker_pid != killed
        assert [call["pid"] for call in app.notes("begin")] == [killed, host.worker_pid]
        assert [call["retry"] for call in app.notes("begin")] == [[0, -1], [1, -1]]
        wait_until_gone(killed)


@pytest.mark.parametrize("how", ["hold", "exit"])
def test_a_timeout_restarts_the_worker_and_retries_the_batch(app: App, how: str) -> None:
    # As in the real worker, a function that raises SystemExit never answers.
    app.write_host_json(timeout="00:00:03")
    app.send(b"0")
    app.switch(how)
    with app.host(time_scale=0.1, RETRY="-1") as host:
        before = host.wait_ready()["worker_pid"]
        (failed,) = host.wait_for("invocation", ok=False)
        assert "longer than 3 s" in failed["error"]
        app.switch(how, on=False)
        host.wait_for("checkpoint", sequence=0)
        (done,) = app.notes("end")
        assert done["pid"] == host.worker_pid != before
        assert host.wait_for("worker_restarted")[0]["failed"] == 0


def test_after_a_time_out_other_invocations_hang_until_their_own(app: App) -> None:
    app.write_host_json(timeout="00:00:06")
    app.send(b"0", partition="0")
    app.switch("hold")
    with app.host(time_scale=0.1, RETRY="-1") as host:
        app.wait_for("begin", partition="0")
        time.sleep(3)
        app.send(b"0", partition="1")
        app.wait_for("begin", partition="1")
        host.wait_for("worker_restarted")
        app.switch("hold", on=False)
        app.wait_for("end", partition="0")
        # The worker of the other batch is gone, and the batch gets no answer.
        assert len(app.notes("begin", partition="1")) == 1
        assert not host.wait_for("invocation", 0, ok=False, partition=app.partition(host, "1"))
        (stranded,) = host.wait_for("invocation", ok=False, partition=app.partition(host, "1"))
        assert stranded["seconds"] >= 6
        app.wait_for("end", partition="1")
        assert len(host.wait_for("worker_restarted")) == 1


def test_a_worker_that_cannot_index_again_fails_every_invocation(app: App) -> None:
    app.send(b"0")
    with app.host(RETRY="-1") as host:
        host.wait_for("checkpoint", sequence=0)
        (app.folder / "function_app.py").write_text("raise ValueError('changed its mind')")
        host.kill_worker()
        host.wait_for("worker_restarted")
        app.send(b"1")
        (failed, *_) = host.wait_for("invocation", ok=False)
        assert "changed its mind" in failed["error"]
    assert app.checkpoint() == 0
