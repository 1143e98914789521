import os
import signal
import time
from pathlib import Path

import pytest

from local.functions.process import HostError

from .conftest import PATIENCE, App


def gone(pid: int) -> bool:
    try:
        # A zombie is dead: its parent has not looked yet.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while not gone(pid):
        assert time.monotonic() < deadline, f"{pid} lives on"
        time.sleep(0.02)


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


def test_a_retry_sends_the_same_batch_again_and_holds_the_checkpoint_back(app: App) -> None:
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
    assert [call["retry"] for call in calls] == [[0, 0], *[[n, -1] for n in range(1, retries)], [0, 0]]


def test_a_finite_retry_loses_the_batch_at_its_end(app: App) -> None:
    app.send(b"0")
    app.switch("fail")
    with app.host(RETRY="1") as host:
        host.wait_for("checkpoint", sequence=0)
        assert [line["retry"] for line in host.wait_for("invocation", 2)] == [0, 1]
    assert [call["retry"] for call in app.notes("begin")] == [[0, 0], [1, 1]]
    assert app.checkpoint() == 0


def test_a_stop_between_retries_leaves_the_batch_for_the_next_start(app: App) -> None:
    app.send(b"0", source="0")
    app.send(b"0", source="1")
    app.switch("hold-1")
    app.switch("fail")
    # More retries than there is time for, and a finite number: their end moves the checkpoint.
    with app.host(RETRY="1000", grace=PATIENCE) as host:
        host.wait_for("invocation", ok=False)
        app.wait_for("begin", source="1")
        # The host waits for source 1: time enough to do the wrong thing with source 0.
        os.kill(host.pid, signal.SIGTERM)
        host.wait_for("stopping")
        attempts = len(app.notes("begin", source="0"))
        time.sleep(2.5)
        app.switch("hold-1", on=False)
        assert host.wait() == 0
    assert app.checkpoint("0") is None
    # At most the attempt that was in flight when the stop began: a retry comes each second.
    assert len(app.notes("begin", source="0")) <= attempts + 1
    app.switch("fail", on=False)
    with app.host() as host:
        host.wait_for("checkpoint", 2, sequence=0)
    assert len(app.notes("end", source="0")) == 1


def test_a_batch_that_succeeds_during_a_stop_comes_again(app: App) -> None:
    app.send(b"0", source="0")
    app.send(b"0", source="1")
    app.switch("hold")
    app.switch("hold-1")
    with app.host(grace=PATIENCE) as host:
        app.wait_for("begin", 2)
        os.kill(host.pid, signal.SIGTERM)
        host.wait_for("stopping")
        app.switch("hold", on=False)
        host.wait_for("invocation", ok=True)
        # The host waits for source 1: time enough to do the wrong thing with source 0.
        time.sleep(0.5)
        app.switch("hold-1", on=False)
        assert host.wait() == 0
        assert len(host.wait_for("invocation", 2, ok=True)) == 2
    assert (app.checkpoint("0"), app.checkpoint("1")) == (None, None)
    with app.host() as host:
        host.wait_for("checkpoint", 2, sequence=0)
    assert [call["sequences"] for call in app.notes("end")] == [[0]] * 4


def test_an_invocation_longer_than_the_grace_is_cut_off(app: App) -> None:
    app.send(b"0")
    app.switch("hold")
    with app.host(grace=0.2) as host:
        app.wait_for("begin")
        assert host.stop() == 0
        wait_until_gone(host.worker_pid)
    assert app.checkpoint() is None
    assert not app.notes("end")


def test_a_killed_host_takes_its_worker_along_and_the_next_redelivers(app: App) -> None:
    # What a killed host owned is free once that has expired.
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


def test_a_killed_worker_fails_its_invocation_and_a_new_one_serves_the_retry(app: App) -> None:
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
        assert [call["retry"] for call in app.notes("begin")] == [[0, 0], [1, -1]]
        wait_until_gone(killed)


@pytest.mark.parametrize("how", ["hold", "exit"])
def test_a_time_out_restarts_the_worker_and_loses_the_batch(app: App, how: str) -> None:
    # A function that leaves with SystemExit is never heard of again, in the real worker as here.
    app.write_host_json(timeout="00:00:05")
    app.send(b"0")
    app.switch(how)
    with app.host() as host:
        before = host.wait_ready()["worker_pid"]
        host.wait_for("checkpoint", sequence=0)
        (failed,) = host.wait_for("invocation", ok=False)
        assert "longer than 5 s" in failed["error"]
        app.switch(how, on=False)
        app.send(b"1")
        # What the host reports and what the app notes reach the test by two ways: this is after both.
        host.wait_for("checkpoint", sequence=1)
        (done,) = app.notes("end")
        assert done["sequences"] == [1]
        assert done["pid"] == host.worker_pid != before


def test_a_worker_that_can_no_longer_index_the_app_ends_the_host(app: App) -> None:
    with app.host() as host:
        host.wait_ready()
        (app.folder / "function_app.py").write_text("raise ValueError('changed its mind')")
        host.kill_worker()
        with pytest.raises(HostError, match="changed its mind"):
            host.wait_for("worker_restarted")
        assert host.wait() == 1
