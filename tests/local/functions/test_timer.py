from .conftest import App


def test_a_timer_fires_on_schedule_and_on_demand_in_one_host_at_a_time(app: App) -> None:
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
    tick = app.notes("tick", host=first.name)[1]
    assert tick["past_due"] is False
    assert tick["status"]["Last"] < tick["status"]["Next"]


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


def test_a_timer_fires_at_start_if_it_asks_for_that(app: App) -> None:
    with app.host(TIMER="0 0 0 1 1 *", ON_STARTUP="1") as host:
        host.wait_for("invocation", function="tick", ok=True)
        host.invoke("tick")
        host.wait_for("invocation", 2, function="tick", ok=True)


def test_an_impossible_schedule_ends_the_host(app: App) -> None:
    with app.host(TIMER="0 0 0 30 2 *") as host:
        assert host.wait() == 1
        assert "never fires" in host.log
