import json
import time
from contextlib import suppress

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import ContainerClient

from .conftest import App


def test_a_timer_fires_scheduled_and_invoked_in_one_host_only(app: App) -> None:
    app.settings |= {"HUB": "", "TIMER": "*/1 * * * * *"}
    with app.host("one") as one, app.host("two") as two:
        first, other = (one, two) if app.wait_for("tick")[0]["host"] == "one" else (two, one)
        app.wait_for("tick", 2)
        assert not app.notes("tick", host=other.name)
        other.invoke("tick")
        (done,) = other.wait_for("invocation")
        assert (done["function"], done["ok"]) == ("tick", True)
        assert len(app.notes("tick", host=other.name)) == 1
        assert first.stop() == 0
        app.wait_for("tick", 3, host=other.name)
    # The real host stores no status for schedules that fire more often than once a minute.
    assert not any(tick["past_due"] or tick["status"] for tick in app.notes("tick"))


def test_a_missed_timer_fires_at_the_next_start(app: App) -> None:
    app.settings |= {"HUB": "", "TIMER": "0 * * * * *"}
    status = app.settings["AzureFunctionsWebHost__hostid"]
    blob = f"timers/{status}/Host.Functions.tick/status"
    with ContainerClient.from_connection_string(app.storage, "azure-webjobs-hosts") as container:
        with suppress(ResourceExistsError):
            container.create_container()
        missed = {
            name: f"2026-11-20T12:0{n}:00+00:00" for n, name in enumerate(("Last", "Next", "LastUpdated"))
        }
        container.upload_blob(blob, json.dumps(missed))
        with app.host() as host:
            host.wait_for("invocation", function="tick", scheduled=True)
            (tick, *_) = app.notes("tick")
            assert tick["past_due"] is True
            assert tick["status"]["Next"].startswith("2026-11-20T12:01")
            app.wait_until(
                lambda: json.loads(container.download_blob(blob).readall()) != missed, "another status"
            )
            assert host.stop() == 0
        kept = json.loads(container.download_blob(blob).readall())
        assert kept["Last"] < kept["Next"]
        # No run was missed in the meantime.
        with app.host() as host:
            host.invoke("tick")
            host.wait_for("invocation", function="tick", scheduled=False)
            assert app.notes("tick")[-1]["past_due"] is False


def test_a_timer_that_never_ran_was_not_missed(app: App) -> None:
    app.settings |= {"HUB": "", "TIMER": "0 0 0 1 1 *"}
    with app.host() as host:
        host.wait_ready()
        host.invoke("tick")
        host.wait_for("invocation", function="tick")
        time.sleep(0.5)
        assert [tick["past_due"] for tick in app.notes("tick")] == [False]


def test_only_timers_are_invoked_on_demand(app: App) -> None:
    with app.host(TIMER="0 0 0 1 1 *") as host:
        assert {(each["name"], each["trigger"]) for each in host.wait_ready()["functions"]} == {
            ("record", "eventHubTrigger"),
            ("tick", "timerTrigger"),
        }
        host.invoke("record")
        (refused,) = host.wait_for("refused")
        assert "'record'" in refused["error"]
        host.invoke("tick")
        host.wait_for("invocation", function="tick", ok=True)
        assert len(app.notes("tick")) == 1


def test_a_timer_fires_at_start_if_configured(app: App) -> None:
    with app.host(TIMER="0 0 0 1 1 *", ON_STARTUP="1") as host:
        host.wait_for("invocation", function="tick", ok=True)
        host.invoke("tick")
        host.wait_for("invocation", 2, function="tick", ok=True)


def test_an_impossible_schedule_ends_the_host(app: App) -> None:
    with app.host(TIMER="0 0 0 30 2 *") as host:
        assert host.wait() == 1
        assert "never fires" in host.log
