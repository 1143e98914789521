"""The report works in a real Chromium: it shows, filters and prints data, and sends no requests."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared import __main__
from shared.input.rejections import Reason
from shared.tables.connection_revisions import CONNECTIONS
from shared.tables.websocket_connection_logs import RECORDS
from tests.shared.report import made
from tests.shared.report.browser import Browser

PERCENTILES = """
const data = window.aggregates;
const {p50, p90, p99} = durations(data, groupsOf(data));
return [p50, p90, p99];
"""
SHOWN = (
    "return document.querySelectorAll('#plot-destination .mark-symbol.role-mark > *').length === arguments[0]"
)
UNTIL = datetime(2026, 11, 20, 14, tzinfo=UTC)
PLOTS = {
    "ended": "rect",
    "open": "area",
    "durations": "rect",
    "destination": "symbol",
    "region": "symbol",
    "rejections": "rect",
    "delays": "line",
}
HOSTILE = "</script><img src=https://bad.example/x onerror=\"document.title='owned'\"><!--\u2028{{7*7}}&lt;"


def report(folder: Path, output: Path, *arguments: str) -> Path:
    assert __main__.main(["report", "--folder", str(folder), "--output", str(output), *arguments]) == 0
    return output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("copy")


@pytest.fixture(scope="module")
def finished(folder: Path) -> Sequence[dict[str, Any]]:
    return made.days(folder, UNTIL, hours=36, count=6000)


@pytest.fixture(scope="module")
def page(folder: Path, finished: Sequence[dict[str, Any]]) -> Path:
    assert finished
    return report(
        folder, folder / "report.html", "--since", "2026-11-19T02:00Z", "--until", "2026-11-20T14:00Z"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_opens_without_messages_or_requests(browser: Browser, page: Path, scheme: str) -> None:
    browser.open(page, scheme)
    assert browser.logged() == []
    assert browser.requested() == [page.as_uri()]


def test_the_page_cannot_send_requests(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.script(
        "addEventListener('securitypolicyviolation', (one) => { document.title = one.effectiveDirective; });"
        "fetch('https://bad.example/').catch(() => 0)"
    )
    browser.until("return document.title === 'connect-src'")
    browser.script(
        "const script = document.createElement('script'); script.textContent = 'document.title = 1';"
        "document.body.append(script)"
    )
    browser.until("return document.title === 'script-src-elem'")
    assert [one for one in browser.requested() if one != page.as_uri()] == []


def test_a_headless_print_is_complete_at_the_load_event(browser: Browser, page: Path) -> None:
    seen = (
        "addEventListener('load', () => { window.then = document.querySelectorAll('#figures div').length; })"
    )
    with browser.before(seen):
        browser.open(page)
    assert browser.script("return window.then") == 8


def test_a_browser_that_cannot_decompress_says_which_browsers_can(browser: Browser, page: Path) -> None:
    note = "return document.getElementById('unreadable').innerText"
    hidden = "return document.getElementById('unreadable').hidden"
    browser.open(page)
    assert browser.script(hidden) is True
    with browser.before("delete window.DecompressionStream"):
        browser.get(page)
    assert browser.script(hidden) is False
    assert "Safari 16.4, or a later version" in browser.script(note)


def test_every_plot_is_there(browser: Browser, page: Path) -> None:
    browser.open(page)
    assert [plot for plot, kind in PLOTS.items() if not browser.marks(plot, kind)] == []


def test_the_figures_match_the_rows(browser: Browser, page: Path, finished: Sequence[dict[str, Any]]) -> None:
    browser.open(page)
    assert browser.figures()["Connections"] == f"{len(finished):,}"
    assert browser.figures()["Rejected"] == "180"
    rows = {row[0]: row[1:] for row in browser.table("destination")}
    assert rows.keys() == set(made.DESTINATIONS)
    for name, (number, failed, *shown) in rows.items():
        mine = [one for one in finished if one["Destination"] == name]
        share = 100 * sum(one["Status"] == "failed" for one in mine) / len(mine)
        assert number == f"{len(mine):,}"
        assert float(failed.rstrip("%")) == pytest.approx(share, abs=0.51)
        known = [one["DurationMs"] for one in mine if one["DurationMs"] is not None]
        wanted = [*np.percentile(known, [50, 90, 99]).tolist(), max(known)]
        # 3 % of the bins, and rounding to two digits.
        assert [ms(one) for one in shown] == pytest.approx(wanted, rel=0.03 + 0.05)
    longest = max(one["DurationMs"] or 0 for one in finished)
    (first, *_) = browser.table("longest")
    assert ms(first[0]) == pytest.approx(longest, rel=0.05)
    id_ = next(one["CorrelationId"] for one in finished if one["DurationMs"] == longest)
    assert first[1] == f"{id_} copy"
    assert browser.script(BROKEN) == []


def test_percentiles_are_within_three_percent(
    browser: Browser, page: Path, finished: Sequence[dict[str, Any]]
) -> None:
    browser.open(page)
    found = browser.script(PERCENTILES)
    known = [one["DurationMs"] for one in finished if one["DurationMs"] is not None]
    assert found == pytest.approx(np.percentile(known, [50, 90, 99]).tolist(), rel=0.03)


def test_filters_apply_to_plots_tables_and_figures(
    browser: Browser, page: Path, finished: Sequence[dict[str, Any]]
) -> None:
    browser.open(page)
    before = {
        plot: browser.script(f"return document.querySelector('#plot-{plot} svg').innerHTML") for plot in PLOTS
    }
    browser.choose("destination", "wss://orders.example")
    browser.choose("region", "East US")
    mine = [
        one for one in finished if (one["Destination"], one["Region"]) == ("wss://orders.example", "East US")
    ]
    browser.until(SHOWN, 2)
    assert browser.figures()["Connections"] == f"{len(mine):,}"
    assert [row[0] for row in browser.table("destination")] == ["wss://orders.example"]
    assert [row[0] for row in browser.table("region")] == ["East US"]
    assert {row[3] for row in browser.table("longest")} == {"wss://orders.example"}
    for plot in ("ended", "open", "durations", "destination", "region"):
        drawn = f"document.querySelector('#plot-{plot} svg').innerHTML"
        browser.until(f"return {drawn} !== arguments[0]", before[plot])
    assert "do not apply" in browser.script(
        "return document.querySelector('#delays .unfiltered').textContent"
    )
    browser.choose("status", "failed")
    failed = [one for one in mine if one["Status"] == "failed"]
    assert browser.table("status")[0][2] == f"{len(failed):,}"
    assert sum(int(row[1]) for row in browser.table("errors")) == len(failed)
    browser.script("document.getElementById('reset').click()")
    browser.until(SHOWN, 8)
    assert browser.figures()["Connections"] == f"{len(finished):,}"


def test_a_bar_shows_its_numbers_under_the_pointer(browser: Browser, page: Path) -> None:
    browser.open(page)
    bar = "document.querySelector('#plot-ended .mark-rect[class$=marks] path')"
    x, y = browser.script(
        f"const r = {bar}.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]"
    )
    browser.devtools("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    browser.until("return document.querySelector('#vg-tooltip-element.visible') !== null")
    said = browser.script("return document.getElementById('vg-tooltip-element').innerText")
    assert re.search(r"UTC:?\s+2026-11-19 02:00", said)
    assert re.search(r"connections:?\s+\d+\s+of all ended:?\s+\d+", said)
    assert browser.logged() == []


TIMES = ("ended", "open", "rejections", "delays")
AXIS = """
const left = (one) => one.getBoundingClientRect().x;
const axis = (id) => [...document.querySelectorAll(`#plot-${id} .role-axis-label`)]
  .find((labels) => labels.textContent.includes("Nov"));
const times = (id) => [...axis(id).children].sort((a, b) => left(a) - left(b))
  .map((one) => one.textContent).join(" ");
"""


def drag(browser: Browser, plot: str, first: float, last: float, clicks: int = 1) -> None:
    """Drags the mouse across a plot, from one share of its width to another."""
    browser.script(f"document.getElementById('plot-{plot}').scrollIntoView({{block: 'center'}})")
    area = f"const r = document.querySelector('#plot-{plot} svg .background').getBoundingClientRect();"
    x, y, width = browser.script(f"{area} return [r.x, r.y + r.height / 2, r.width]")
    steps = (
        ("mousePressed", first),
        ("mouseMoved", (first + last) / 2),
        ("mouseMoved", last),
        ("mouseReleased", last),
    )
    for kind, share in steps:
        at = {"x": x + share * width, "y": y, "button": "left", "clickCount": clicks}
        browser.devtools("Input.dispatchMouseEvent", type=kind, **at)


def zoomed(browser: Browser) -> list[float]:
    """The times that the page says it is zoomed to, in hours since the beginning of the range."""
    said = browser.script(
        "const note = document.getElementById('zoomed'); return note.hidden ? '' : note.innerText"
    )
    times = [datetime.fromisoformat(f"{one}Z") for one in re.findall(r"2026-11-\d\d \d\d:\d\d", said)]
    return [(one - datetime(2026, 11, 19, 2, tzinfo=UTC)).total_seconds() / 3600 for one in times]


def test_a_drag_zooms_and_a_double_click_resets(browser: Browser, page: Path) -> None:
    browser.open(page)
    before = browser.script(f"{AXIS} return arguments[0].map(times)", TIMES)
    assert zoomed(browser) == []
    drag(browser, "ended", 0.25, 0.5)
    browser.until(
        f"{AXIS} return arguments[0].every((id, at) => times(id) !== arguments[1][at])", TIMES, before
    )
    assert zoomed(browser) == pytest.approx([9, 18], abs=0.3)
    drag(browser, "delays", 0.5, 0.0)
    browser.until("return document.getElementById('zoomed').innerText.includes('2026-11-19 15:')")
    assert zoomed(browser) == pytest.approx([9, 13.5], abs=0.3)
    drag(browser, "open", 0.5, 0.5)
    drag(browser, "open", 0.5, 0.5, clicks=2)
    browser.until(
        f"{AXIS} return arguments[0].every((id, at) => times(id) === arguments[1][at])", TIMES, before
    )
    assert zoomed(browser) == []
    assert browser.logged() == []


def test_a_zoomed_chart_scales_to_its_visible_values(browser: Browser, page: Path) -> None:
    """The outage doubles the rejections of a few hours, and the hours before it have few."""
    browser.open(page)
    highest = """return Math.max(...[...document.querySelectorAll('#plot-rejections .role-axis-label text')]
        .map((one) => +one.textContent).filter((value) => value >= 0))"""
    whole = browser.script(highest)
    browser.script("location.hash = '#from=2026-11-19T03:00Z&to=2026-11-19T09:00Z'")
    browser.until(f"return (() => {{ {highest} }})() < arguments[0] / 4", whole)


def test_the_zoom_is_kept_in_the_address(browser: Browser, page: Path) -> None:
    browser.open(page)
    drag(browser, "ended", 0.25, 0.5)
    browser.until("return location.hash.includes('from=')")
    address, hours = browser.script("return location.hash"), zoomed(browser)
    browser.choose("region", "East US")
    assert browser.script("return location.hash").endswith(address.removeprefix("#"))
    browser.script("document.getElementById('unzoom').click()")
    assert (zoomed(browser), browser.script("return location.hash")) == ([], "#region=East+US")
    browser.script("location.hash = arguments[0]", address)
    browser.until("return !document.getElementById('zoomed').hidden")
    assert zoomed(browser) == hours
    for wrong in ("#from=yesterday&to=today", "#from=2020-01-01&to=2020-01-02", "#from=2026-11-20"):
        browser.script("location.hash = arguments[0]", wrong)
        browser.until("return document.getElementById('zoomed').hidden")


def test_clicking_a_name_in_a_table_filters_by_it(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.script("document.querySelector('#table-status button').click()")
    assert browser.script("return document.getElementById('filter-status').value") == "closed"
    assert len(browser.table("status")) == 1


SERIES = "[...document.querySelectorAll('#legend-' + arguments[0] + ' button')]"
CLICK = f"{SERIES}.find((one) => one.textContent === arguments[1]).click()"
LEGENDS = {
    "ended": ["closed", "failed", "quiet", "began"],
    "open": ["finished", "unfinished", "peak"],
    "durations": ["closed", "failed", "quiet"],
    "rejections": ["unparseable_time", "missing_required_field"],
    "delays": ["to the hub", "median", "p95"],
}
MARKS = (
    "return document.querySelectorAll(`#plot-${arguments[0]}:not([hidden]) svg "
    ".mark-${arguments[1]}.role-mark[class$=marks] > *`).length"
)


def test_a_click_on_a_series_toggles_it(browser: Browser, page: Path) -> None:
    browser.open(page)
    before = {plot: browser.marks(plot, kind) for plot, kind in PLOTS.items()}
    figures = browser.figures()
    for plot, names in LEGENDS.items():
        kind, hidden = PLOTS[plot], names[1]
        assert browser.script(f"return {SERIES}.map((one) => one.textContent)", plot) == names
        browser.script(CLICK, plot, hidden)
        browser.until(f"{MARKS} < arguments[2]", plot, kind, before[plot])
        pressed = browser.script(f"return {SERIES}.map((one) => one.ariaPressed)", plot)
        assert pressed == ["false" if name == hidden else "true" for name in names]
        now = {name: browser.marks(name, of) for name, of in PLOTS.items()}
        assert 0 < now.pop(plot) < before[plot]
        assert now.items() <= before.items(), "other plots keep their series"
        assert browser.figures() == figures
        browser.script(CLICK, plot, hidden)
        browser.until(f"{MARKS} === arguments[2]", plot, kind, before[plot])
    for name in LEGENDS["ended"]:
        browser.script(CLICK, "ended", name)
    browser.until(f"{MARKS} === 0", "ended", "rect")
    assert browser.script(f"return {SERIES}.length", "ended") == 4, "they can be shown again"
    assert browser.logged() == []


def test_the_page_follows_dark_and_light_mode(browser: Browser, page: Path) -> None:
    def brightness(selector: str, style: str) -> float:
        code = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
        color = browser.script(code, selector, style)
        return sum(map(float, re.findall(r"[\d.]+", color)[:3])) / 765

    for scheme, dark in (("dark", True), ("light", False)):
        browser.open(page, scheme)
        assert (brightness("body", "backgroundColor") < 0.3) is dark
        assert (brightness("body", "color") > 0.7) is dark
        assert (brightness("#plot-ended .role-axis-label text", "fill") > 0.5) is dark


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_prints_on_white_pages(browser: Browser, page: Path, scheme: str) -> None:
    browser.open(page, scheme)
    pages = len(re.findall(rb"/Type\s*/Page\b", browser.print()))
    assert 3 <= pages <= 8
    browser.emulate(scheme, media="print")
    assert browser.script("return getComputedStyle(document.body).color") == "rgb(26, 31, 38)"
    assert browser.script("return getComputedStyle(document.getElementById('filters')).display") == "none"


CUT = """
return [...document.querySelectorAll("td, th, dd, dt, p, h1, h2, svg, select, .scroll")]
  .filter((one) => one.getClientRects().length)
  .filter((one) => one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).overflowX !== "visible"
    || one.getBoundingClientRect().right > arguments[0] + 1)
  .map((one) => `${one.tagName} ${one.id} ${one.textContent.slice(0, 40)}`)
"""


# Names without a space that take more than one line.
BROKEN = """
const found = document.evaluate("//td//text()", document, null, XPathResult.ORDERED_NODE_SNAPSHOT_TYPE);
const texts = Array.from({ length: found.snapshotLength }, (_, at) => found.snapshotItem(at));
return texts.filter((one) => /^\\S+$/.test(one.data)).filter((one) => {
  const range = document.createRange();
  range.selectNode(one);
  return range.getClientRects().length > 1;
}).map((one) => one.data)
"""


def test_at_400_pixels_nothing_is_cut_or_scrolled(browser: Browser, page: Path) -> None:
    browser.devtools(
        "Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1, mobile=False
    )
    try:
        browser.open(page)
        assert browser.script(CUT, 400) == []
    finally:
        browser.devtools("Emulation.clearDeviceMetricsOverride")


def test_on_paper_nothing_is_cut(browser: Browser, page: Path) -> None:
    width = 703  # A4 less its margins, in CSS pixels
    browser.devtools(
        "Emulation.setDeviceMetricsOverride", width=width, height=1000, deviceScaleFactor=1, mobile=False
    )
    try:
        browser.open(page)
        browser.emulate("light", media="print")
        assert browser.script(CUT, width) == []
        assert browser.script(BROKEN) == []
    finally:
        browser.devtools("Emulation.clearDeviceMetricsOverride")


def test_the_requested_range_is_drawn_and_used_for_rates(
    browser: Browser, folder: Path, finished: Sequence[dict[str, Any]], tmp_path: Path
) -> None:
    week = report(folder, tmp_path / "week.html", "--since", "2026-11-14", "--until", "2026-11-21")
    browser.open(week)
    per_hour = float(browser.figures()["Per hour"].replace(",", ""))
    assert per_hour == pytest.approx(len(finished) / (7 * 24), rel=0.01)
    labels = (
        "return [...document.querySelectorAll('#plot-ended .role-axis-label text')].map((t) => t.textContent)"
    )
    dates = [text for text in browser.script(labels) if text.startswith("Nov ")]
    assert len(dates) >= 6, "days without data are drawn"
    origin = browser.script("return document.querySelector('header').textContent")
    assert "with data from 2026-11-19 02:00 to 2026-11-20 14:00" in origin


def test_hours_on_an_axis_have_a_date(browser: Browser, folder: Path, page: Path, tmp_path: Path) -> None:
    assert page.exists()
    hours = report(
        folder, tmp_path / "hours.html", "--since", "2026-11-20T08:00Z", "--until", "2026-11-20T12:00Z"
    )
    browser.open(hours)
    label = "return document.querySelector('#plot-ended .role-axis-label').textContent"
    assert "Nov 20" in browser.script(label)


def test_clicking_a_column_sorts_the_table(browser: Browser, page: Path) -> None:
    browser.open(page)
    click = "[...document.querySelectorAll('#table-longest th button')][arguments[0]].click()"
    durations = [ms(row[0]) for row in browser.table("longest")]
    assert durations == sorted(durations, reverse=True)
    browser.script(click, 5)
    assert (
        browser.script("return document.querySelector('#table-longest th[aria-sort]').textContent")
        == "status"
    )
    statuses = [row[5] for row in browser.table("longest")]
    assert statuses == sorted(statuses)
    browser.script(click, 5)
    assert [row[5] for row in browser.table("longest")] == sorted(statuses, reverse=True)
    browser.choose("status", "closed")
    assert browser.script("return document.querySelectorAll('#table-longest th[aria-sort]').length") == 1
    browser.script(click, 0)
    browser.script(click, 0)
    durations = [ms(row[0]) for row in browser.table("longest")]
    assert durations == sorted(durations), "by value, not by text"


def test_the_button_next_to_an_id_copies_it(browser: Browser, page: Path) -> None:
    browser.open(page)
    granted = ["clipboardReadWrite", "clipboardSanitizedWrite"]
    browser.devtools("Browser.grantPermissions", permissions=granted)
    try:
        button = "document.querySelectorAll('#table-longest .copy')[1]"
        browser.script(f"return navigator.clipboard.writeText('before').then(() => {button}.click())")
        browser.until(f"return {button}.textContent === 'copied'")
        id_ = browser.table("longest")[1][1].removesuffix(" copied")
        assert browser.script("return navigator.clipboard.readText()") == id_
    finally:
        browser.devtools("Browser.resetPermissions")


def test_without_access_to_the_clipboard_the_button_selects_the_id(browser: Browser, page: Path) -> None:
    with browser.before("navigator.clipboard.__proto__.writeText = undefined"):
        browser.open(page)
    button = "document.querySelector('#table-longest .copy')"
    browser.script(f"{button}.click()")
    browser.until(f"return {button}.textContent === 'press Ctrl+C'")
    id_ = browser.table("longest")[0][1].removesuffix(" press Ctrl+C")
    assert browser.script("return getSelection().toString()") == id_


def test_filters_are_kept_in_the_address(browser: Browser, page: Path) -> None:
    browser.open(page)
    browser.choose("region", "East US")
    browser.choose("status", "failed")
    address = browser.script("return location.hash")
    assert address == "#region=East+US&status=failed"
    browser.script("document.getElementById('reset').click()")
    browser.until("return location.hash === ''")
    browser.script("location.hash = arguments[0]", address)
    browser.until("return document.getElementById('filter-region').value === 'East US'")
    assert [row[0] for row in browser.table("region")] == ["East US"]
    browser.reload()
    assert browser.script("return document.getElementById('filter-status').value") == "failed"
    assert [row[0] for row in browser.table("region")] == ["East US"]
    browser.script("location.hash = '#region=Atlantis'")
    browser.until("return document.getElementById('filter-region').selectedOptions[0]?.text === 'all'")


def test_missing_durations_or_closing_events_are_stated_first(
    browser: Browser, page: Path, tmp_path: Path
) -> None:
    notices = "return document.getElementById('notices').textContent"
    browser.open(page)
    assert browser.script(notices) == ""
    begin = UNTIL.timestamp() - 6 * 3600
    rows = [
        made.connection(f"c{n}", begin + n, None, ArrivalDurationMs=600_000.0, Status="quiet")
        for n in range(9)
    ]
    made.write(tmp_path, CONNECTIONS, rows, "EndTime")
    browser.open(report(tmp_path, tmp_path / "report.html", "--since", "2026-11-20T00:00Z", "--force"))
    said = browser.script(notices)
    assert "Most connections have no duration" in said
    assert "9 of 9 connections ended without a closing event" in said


def test_a_narrow_window_needs_no_scrolling_sideways(browser: Browser, page: Path) -> None:
    browser.devtools(
        "Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=1, mobile=False
    )
    try:
        browser.open(page)
        assert browser.script("return document.documentElement.scrollWidth") <= 390
    finally:
        browser.devtools("Emulation.clearDeviceMetricsOverride")


def test_hostile_values_are_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    end = UNTIL.timestamp() - 3600
    texts = {"Destination": HOSTILE, "Region": HOSTILE, "Error": HOSTILE, "Status": "failed"}
    rows = [made.connection(HOSTILE, end, 5, **texts, _ResourceId=HOSTILE)]
    made.write(tmp_path, CONNECTIONS, rows, "EndTime")
    made.write(
        tmp_path, RECORDS, [made.record(HOSTILE, end, 60, **texts, _ResourceId=HOSTILE)], "TimeGenerated"
    )
    made.letters(tmp_path, [(end, Reason.WRONG_TYPE, 1, HOSTILE)])
    page = report(tmp_path, tmp_path / "report.html", "--since", "2026-11-20", "--until", "2026-11-21")
    browser.open(page)
    browser.choose("destination", HOSTILE)
    assert browser.script("return document.title").startswith("WebSocket connections")
    assert browser.script("return document.querySelectorAll('img, iframe').length") == 0
    assert browser.table("errors")[0][0] == HOSTILE
    assert browser.table("longest")[0][1] == f"{HOSTILE} copy"
    assert browser.table("rejections")[0][2] == HOSTILE
    assert browser.logged() == []
    assert browser.requested() == [page.as_uri()]


def test_an_empty_range_says_how_to_widen_it(
    browser: Browser, folder: Path, page: Path, tmp_path: Path
) -> None:
    assert page.exists()
    empty = report(folder, tmp_path / "empty.html", "--since", "2027-01-01", "--until", "2027-01-02")
    browser.open(empty)
    said = browser.script("return document.getElementById('empty').innerText")
    assert "Nothing was exported in this range" in said
    assert "first records are from 2026-11-19 02:00" in said
    assert "python -m shared report --since" in said
    assert browser.script("return document.querySelectorAll('section:not([hidden])').length") == 1
    assert (browser.logged(), browser.requested()) == ([], [empty.as_uri()])


def test_a_page_needs_only_records(browser: Browser, tmp_path: Path) -> None:
    rows = [made.record(f"c{n}", UNTIL.timestamp() - 60 * n - 60, 30) for n in range(50)]
    made.write(tmp_path, RECORDS, rows, "TimeGenerated")
    page = report(tmp_path, tmp_path / "report.html", "--since", "2026-11-20", "--until", "2026-11-20T14:00Z")
    browser.open(page)
    assert browser.figures()["Still open"] == "50"
    assert browser.figures()["Failed"] == "\u2013"
    assert browser.marks("open", "area") > 0
    assert browser.logged() == []


def test_the_picture_in_the_docs_is_of_this_page() -> None:
    picture = Path(__file__).resolve().parents[3] / "docs" / "report.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 300_000


def ms(text: str) -> float:
    value, unit = text.split()
    return float(value) * {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}[unit]


def test_estimates_and_other_columns_are_labelled(browser: Browser, tmp_path: Path) -> None:
    begin = UNTIL.timestamp() - 6 * 3600
    rows = [
        made.connection(
            f"c{n}",
            begin + n,
            None,
            ArrivalDurationMs=600_000.0,
            Source="Client",
            Destination="Gateway" if n % 2 else "Client",
            _ResourceId=f"{made.RESOURCE}{n % 3}",
        )
        for n in range(30)
    ]
    made.write(tmp_path, CONNECTIONS, rows, "EndTime")
    browser.open(report(tmp_path, tmp_path / "report.html", "--since", "2026-11-20T00:00Z", "--force"))
    titles = browser.script("return [...document.querySelectorAll('h2')].map((one) => one.textContent)")
    assert "Estimated duration by instance" in titles
    assert "Median, estimated" in browser.script("return document.getElementById('figures').textContent")
    assert "off by minutes" in browser.script("return document.getElementById('estimated').textContent")
    assert "error" not in browser.script("return document.querySelector('#table-longest thead').innerText")
    assert browser.script("return document.getElementById('filter-destination').options.length") == 4
