"use strict";
// Renders the aggregates as charts and tables whenever a filter changes. Values of records only become text.

const DATA = window.aggregates;
const GROUPS = groupsOf(DATA);
const LEGS = { hub: "to the hub", exporter: "to the output" };
const MEANING = {
  closed: "has a closing event", failed: "has a failing event", quiet: "no closing event, then no records for a while",
  timed_out: "no closing event, then no records for the idle time", unfinished: "has records, but no row yet",
};
const ORDER = Object.keys(MEANING);
// What connections are grouped by: the columns that tell them apart.
const TITLES = { destination: DATA.dimensions[0][0], region: DATA.dimensions[1][0], status: "Status" };
const ESTIMATED = DATA.estimated[0][0];
const element = (id) => document.getElementById(id);
const number = (value) => value.toLocaleString("en-US");
const share = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(part / whole < 0.1 ? 1 : 0)}%` : "–");
const short = (value) => (value < 1e6 ? number(value) : `${(value / 1e6).toPrecision(3)} M`);
const plots = {};

function when(ms, seconds = false) {
  return new Date(ms).toISOString().slice(0, seconds ? 19 : 16).replace("T", " ");
}

function lasted(ms) {
  if (ms === null || ms === undefined) return "–";
  const units = [[86400000, "d"], [3600000, "h"], [60000, "min"], [1000, "s"]];
  const [size, name] = units.find(([one]) => ms >= one) || [1, "ms"];
  const value = ms / size;
  return `${value.toFixed(value < 10 && size > 1 ? 1 : 0)} ${name}`;
}

function length(ms) {
  const names = [[604800000, "week"], [86400000, "day"], [3600000, "hour"], [60000, "minute"]];
  const [size, name] = names.find(([one]) => ms % one === 0);
  return ms === size ? name : `${ms / size} ${name}s`;
}

function make(tag, text, name) {
  const one = document.createElement(tag);
  if (text !== undefined) one.textContent = text;
  if (name) one.className = name;
  return one;
}

const sorting = {};

/** Columns are [title, what gives the cell's text or element, class, what gives the value to sort by]. */
function table(id, rows, columns) {
  const target = element(id);
  target.replaceChildren();
  target.classList.toggle("wide-table", columns.length > 2);
  if (!rows.length) return;
  const { title: by, down } = sorting[id] || {};
  const [, , , key] = columns.find(([title, , , value]) => value && title === by) || [];
  const sorted = key ? [...rows].sort((a, b) => compare(key(a), key(b)) * (down ? -1 : 1)) : rows;
  const head = make("tr");
  head.append(...columns.map(([title, , name, value]) => {
    const cell = make("th", value ? undefined : title, name);
    if (!value) return cell;
    const button = make("button", title);
    button.type = "button";
    button.title = `sort by ${title}`;
    button.addEventListener("click", () => {
      sorting[id] = { title, down: by === title ? !down : name === "number" };
      table(id, rows, columns);
      [...target.querySelectorAll("th button")].find((one) => one.textContent === title).focus();
    });
    cell.append(button);
    if (key && by === title) cell.ariaSort = down ? "descending" : "ascending";
    return cell;
  }));
  const lines = sorted.map((row) => {
    const line = make("tr");
    for (const [title, give, name] of columns) {
      const given = give(row);
      const cell = make("td", given instanceof Node ? undefined : given, name);
      if (given instanceof Node) cell.append(given);
      // Only words that are too long for a column are broken.
      cell.classList.toggle("whole", !/\S{37}/.test(cell.textContent));
      cell.dataset.title = title;
      line.append(cell);
    }
    return line;
  });
  const [top, body] = [make("thead"), make("tbody")];
  top.append(head);
  body.append(...lines);
  target.append(top, body);
}

/** Nothing sorts below everything. */
function compare(a, b) {
  if (typeof a === "string" || typeof b === "string") return String(a ?? "").localeCompare(String(b ?? ""));
  return (a ?? -Infinity) - (b ?? -Infinity) || 0;
}

/** An id with a button that copies it. */
function copyable(id) {
  const cell = make("span", id, "copyable");
  const button = make("button", "copy", "copy");
  button.type = "button";
  button.title = `copy ${id}`;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(id);
      button.textContent = "copied";
    } catch {
      const text = document.createRange();
      text.selectNodeContents(cell.firstChild);
      getSelection().removeAllRanges();
      getSelection().addRange(text);
      button.textContent = "press Ctrl+C";
    }
    setTimeout(() => { button.textContent = "copy"; }, 2000);
  });
  cell.append(" ", button);
  return cell;
}

function link(key, value) {
  const button = make("button", value);
  button.type = "button";
  button.title = `only ${value}`;
  button.addEventListener("click", () => {
    element(`filter-${key}`).value = value;
    show();
  });
  return button;
}

function bar(part, whole, color) {
  const span = make("span", undefined, "share");
  span.style.width = `${whole ? Math.max(1, (100 * part) / whole) : 0}%`;
  if (color) span.style.background = color;
  return span;
}

/** Draws a plot once; from then on, its rows are exchanged. */
async function draw(id, spec, datasets, height = spec.height) {
  const target = element(`plot-${id}`);
  const any = Object.values(datasets).some((rows) => rows.length);
  target.hidden = !any;
  if (!any) return;
  const first = !plots[id];
  plots[id] ||= vegaEmbed(target, { ...spec, datasets }, {
    mode: "vega-lite", renderer: "svg", actions: false, ast: true, defaultStyle: false,
    tooltip: { disableDefaultStyle: true }, logLevel: 1, // errors: a layer that a filter emptied is worth no warning
  });
  const { view } = await plots[id];
  if (first && spec.params) await zoomable(target, view);
  for (const [name, rows] of Object.entries(datasets)) view.data(name, rows);
  await view.height(height).resize().runAsync();
}

/** Says at the top of the page what limits the numbers below. */
function notices(chosen) {
  const all = durations(DATA, chosen);
  const unclosed = sum(within(DATA.ended, chosen.filter((one) => one.status === "quiet" || one.status === "timed_out")));
  const said = [];
  if (ESTIMATED) {
    said.push("Most connections have no duration, because all their records have the same time. This page shows estimates from "
      + "arrival times, which are off by minutes.");
  }
  if (all.n && 2 * unclosed > all.n) {
    said.push(`${number(unclosed)} of ${number(all.n)} connections ended without a closing event. If yours have names that are `
      + "not in WS_CLOSING_EVENTS, set it; “python -m shared status” lists the names.");
  }
  element("notices").replaceChildren(...said.map((text) => make("p", text, "note")));
}

function figures(chosen) {
  const all = durations(DATA, chosen);
  const open = openNow(DATA, chosen);
  const began = sum(within(DATA.started, chosen));
  const still = sum(within(DATA.open, chosen), (row) => row[2]);
  const hours = Math.max((DATA.grid.to - DATA.grid.from) / 3600000, 1 / 60);
  const rejected = sum(DATA.reasons, (row) => row[1]);
  const delayed = DATA.delays.length ? delaysOf(DATA, "hub") : null;
  const committed = delaysOf(DATA, "exporter");
  const rows = [
    ["Connections", short(all.n), `ended; ${short(began)} began`],
    ["Per hour", short(+(all.n / hours).toPrecision(3)), "ended, average of the range"],
    ["Failed", share(all.failed, all.n), `${number(all.failed)} connections`],
    [ESTIMATED ? "Median, estimated" : "Median duration", lasted(all.p50), `p99 ${lasted(all.p99)}`],
    ["Peak open", short(Math.round(open.most)), open.exact ? "at the same time" : `highest average per ${length(DATA.points.step)}`],
    ["Still open", short(still), "at the end"],
    ["Rejected", DATA.grid.letters ? short(rejected) : "unknown", `${short(DATA.records[0][0])} records exported`],
    ["Delay, p95", lasted(committed.n ? committed.p95 : delayed && delayed.p95), committed.n ? "from hub to output" : "to the hub"],
  ];
  element("figures").replaceChildren(...rows.map(([name, value, more]) => {
    const box = make("div");
    box.append(make("dt", name), make("dd", value), make("dd", more));
    return box;
  }));
}

function percentiles(chosen, key, title) {
  const rows = durationsBy(DATA, chosen, key);
  const known = rows.filter((row) => row.known).map((row) => ({
    ...row, median: lasted(row.p50), ninetieth: lasted(row.p90), highest: lasted(row.p99),
  }));
  draw(key, percentilesPlot(key, known), { rows: known }, known.length * ROW);
  const columns = ["p50", "p90", "p99", "longest"].map(
    (name) => [name, (row) => lasted(row[name]), "number", (row) => row[name]],
  );
  table(`table-${key}`, rows, [
    [title, (row) => link(key, row.label), "text", (row) => row.label],
    ["connections", (row) => number(row.n), "number", (row) => row.n],
    ["failed", (row) => share(row.failed, row.n), "number", (row) => (row.n ? row.failed / row.n : 0)], ...columns,
  ]);
}

function show() {
  const filter = Object.fromEntries(KEYS.map((key) => [key, element(`filter-${key}`).value]));
  const chosen = chosenBy(GROUPS, filter);
  const set = KEYS.filter((key) => filter[key]);
  element("filtered").hidden = !set.length;
  element("filtered").textContent = `Shown: ${set.map((key) => `${TITLES[key].toLowerCase()} ${filter[key]}`).join(", ")}`;
  for (const one of document.querySelectorAll(".unfiltered")) {
    one.textContent = set.length ? "The filters do not apply here." : "";
  }
  writeAddress();
  notices(chosen);
  figures(chosen);

  const present = ORDER.filter((status) => GROUPS.some((one) => one.status === status));
  const ending = present.filter((status) => status !== "unfinished");
  const timed = (rows) => rows.map((row) => ({ ...row, when: when(row.t) }));
  const only = (id, rows, field) => rows.filter((row) => shown(id, row[field]));
  const byStatus = ending.map((status) => [status, STATUS_COLORS[status]]);
  const { ended, started } = counted(DATA, chosen);
  legend("ended", [...byStatus, ["began", STATUS_COLORS.began, "line"]], show);
  draw("ended", endedPlot(DATA.bars.step, ending), {
    ended: timed(stacked(only("ended", ended, "status"), "t", "status", ORDER)), started: timed(only("ended", started, "status")),
  });

  const open = openNow(DATA, chosen);
  const kinds = Object.entries(KIND_COLORS).map(([kind, color]) => [kind, color, kind === "peak" ? "line" : ""]);
  legend("open", kinds, show);
  draw("open", openPlot(DATA.points.step), {
    mean: timed(stacked(only("open", open.mean, "kind"), "t", "kind", ["finished", "unfinished"])),
    peaks: timed(only("open", open.peaks, "kind")),
  });

  legend("durations", byStatus, show);
  const bars = stacked(only("durations", histogram(DATA, chosen), "status"), "low", "status", ORDER)
    .map((row) => ({ ...row, span: `${lasted(row.low)} to ${lasted(row.high)}` }));
  const all = durations(DATA, chosen);
  const marks = [["median", all.p50], ["p90", all.p90], ["p99", all.p99]];
  draw("durations", durationsPlot(ending), {
    bars, marks: marks.filter(([, ms]) => ms).map(([name, ms], rank) => ({ ms, rank, label: `${name} ${lasted(ms)}` })),
  });
  element("unknown").textContent = all.n > all.known
    ? `${number(all.n - all.known)} of ${number(all.n)} are left out: their records contain no duration.` : "";

  percentiles(chosen, "destination", TITLES.destination);
  percentiles(chosen, "region", TITLES.region);
  ends(chosen, all.n);
}

function ends(chosen, total) {
  const rows = statuses(DATA, chosen);
  table("table-status", rows, [
    ["Status", (row) => {
      const cell = make("span", undefined, "named");
      const swatch = make("span", undefined, "swatch");
      swatch.style.background = STATUS_COLORS[row.status];
      cell.append(swatch, link("status", row.status));
      return cell;
    }],
    ["meaning", (row) => MEANING[row.status] || ""], ["connections", (row) => number(row.n), "number"],
    ["share", (row) => share(row.n, total), "number"],
    ["", (row) => bar(row.n, total, STATUS_COLORS[row.status]), "bar"],
  ]);
  const told = errors(DATA, chosen);
  table("table-errors", told.length ? told : [{ none: true }], told.length ? [
    ["Error", (row) => row.error ?? "(others)", "text"], ["connections", (row) => number(row.n), "number"],
    ["", (row) => bar(row.n, told[0].n, "var(--failed)"), "bar"],
  ] : [["", () => "No connection had an error."]]);
  const longest = within(DATA.longest, chosen).sort((a, b) => b[5] - a[5]).slice(0, DATA.listed);
  const failing = longest.some((row) => row[10]);
  table("table-longest", longest, [
    [ESTIMATED ? "estimate" : "duration", (row) => lasted(row[5]), "number", (row) => row[5]],
    ["CorrelationId", (row) => copyable(row[1]), "id", (row) => row[1]],
    ["began", (row) => when(row[3] / 1000, true), "time", (row) => row[3]],
    [TITLES.destination.toLowerCase(), (row) => row[6], "text", (row) => row[6]],
    [TITLES.region.toLowerCase(), (row) => row[7], "", (row) => row[7]], ["status", (row) => row[8], "", (row) => row[8]],
    ["events", (row) => number(row[9]), "number", (row) => row[9]],
    ...(failing ? [["error", (row) => row[10] ?? "", "text", (row) => row[10]]] : []),
    ["instance", (row) => row[2].split("/").pop() || "–", "", (row) => row[2]],
  ]);
}

/** What no filter changes. */
function showOnce() {
  element("empty").hidden = Boolean(GROUPS.length || DATA.records[0][0] || DATA.reasons.length);
  for (const one of document.querySelectorAll(".needs-connections")) one.hidden = !GROUPS.length;
  element("filters").hidden = !GROUPS.length;
  element("figures").hidden = !element("empty").hidden;
  element("delays").hidden = !DATA.records[0][0];
  element("rejections").hidden = !element("empty").hidden;
  for (const key of ["destination", "region"]) {
    element(`title-${key}`).textContent = `${ESTIMATED ? "Estimated duration" : "Duration"} by ${TITLES[key].toLowerCase()}`;
    element(`label-${key}`).textContent = TITLES[key];
  }
  element("estimated").textContent = ESTIMATED
    ? "Estimates from arrival times, off by minutes: the records of most connections contain no duration." : "";
  element("ended-title").textContent = `Connections per ${length(DATA.bars.step)}`;
  element("open-caption").textContent = `Areas: average per ${length(DATA.points.step)}. Line: the peak in it, without filters only. `
    + "Finished connections have a row in the table of connections. Unfinished ones have records but no row yet, and count as "
    + "open until a closing event.";
  for (const key of KEYS) {
    const values = [...new Set(GROUPS.map((one) => one[key]))].sort();
    const options = [["", "all"], ...values.map((value) => [value, value])];
    element(`filter-${key}`).replaceChildren(...options.map(([value, text]) => {
      const option = make("option", text);
      option.value = value;
      return option;
    }));
  }
  drawRejections();
  table("table-rejections", DATA.reasons.length ? DATA.reasons : [[]], DATA.reasons.length ? [
    ["Reason", (row) => row[0]], ["records", (row) => number(row[1]), "number"], ["example message", (row) => row[2] ?? "", "text"],
  ] : [["", () => DATA.grid.letters ? "Nothing was rejected." : "The dead letters could not be read: what was rejected is unknown."]]);
  const legs = Object.keys(LEGS).filter((leg) => DATA.delays.some((row) => row[0] === leg));
  drawDelays(legs.map((leg) => LEGS[leg]));
  table("table-delays", legs.map((leg) => ({ leg: LEGS[leg], ...delaysOf(DATA, leg) })), [
    ["Part", (row) => row.leg], ["records", (row) => number(row.n), "number"],
    ...[["p50", "median"], ["p95", "p95"], ["p99", "p99"], ["most", "longest"]].map(
      ([key, title]) => [title, (row) => lasted(row[key]), "number"],
    ),
  ]);
  element("no-commits").textContent = DATA.grid.commits ? ""
    : "Commit times are in the metadata of the blobs, which a local copy does not have.";
}

function drawRejections() {
  const reasons = DATA.reasons.map(([reason]) => reason);
  const { start, step } = DATA.bars;
  legend("rejections", reasons.map((reason) => [reason, reasonColor(reasons, reason)]), drawRejections);
  const rows = DATA.rejections.filter(([, reason]) => shown("rejections", reason));
  draw("rejections", rejectionsPlot(step, reasons), {
    rows: stacked(rows.map(([at, reason, n]) => ({
      t: start + at * step, t2: start + (at + 1) * step, when: when(start + at * step), reason, n,
    })), "t", "reason", reasons),
  });
}

function drawDelays(legs) {
  const { step } = DATA.bars;
  const delayed = delays(DATA).map((row) => ({
    ...row, leg: LEGS[row.leg], when: when(row.t - step / 2), said: lasted(row.ms),
  }));
  const series = [...legs.map((leg) => [leg, legColor(leg)]), ["median", "var(--ink)", "line"], ["p95", "var(--ink)", "dashes"]];
  legend("delays", delayed.length ? series : [], () => drawDelays(legs));
  draw("delays", delaysPlot(step, legs, delayed), {
    rows: delayed.filter((row) => shown("delays", row.leg) && shown("delays", row.name)),
  });
}

/** Puts the filters and the zoom into the address. */
function writeAddress() {
  const given = KEYS.map((key) => [key, element(`filter-${key}`).value]).filter(([, value]) => value);
  if (zoomed) given.push(...["from", "to"].map((key, end) => [key, new Date(zoomed[end]).toISOString()]));
  const address = new URLSearchParams(given).toString();
  history.replaceState(null, "", address ? `#${address}` : location.pathname + location.search);
}

/** Sets the filters and the zoom that the address names. Values that the data does not have are ignored. */
function readAddress() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const [from, to] = ["from", "to"].map((key) => Date.parse(wanted.get(key)));
  zoom(from < to ? [from, to] : null);
  for (const key of KEYS) {
    const filter = element(`filter-${key}`);
    filter.value = wanted.get(key) ?? "";
    if (filter.selectedIndex < 0) filter.value = "";
  }
}

for (const key of KEYS) element(`filter-${key}`).addEventListener("change", show);
addEventListener("hashchange", () => { readAddress(); if (GROUPS.length) show(); });
element("filters").addEventListener("reset", () => { zoom(); setTimeout(show); });
element("unzoom").addEventListener("click", () => { zoom(); writeAddress(); });
element("filters").addEventListener("submit", (event) => event.preventDefault());
showOnce();
readAddress();
if (GROUPS.length) show();
else if (element("empty").hidden) figures([]);
Promise.all(Object.values(plots)).then(() => { document.documentElement.dataset.ready = "true"; });
