"use strict";
// The plots as Vega-Lite: colors are CSS variables, so that light, dark and print are a matter of style alone.

const STATUS_COLORS = {
  closed: "var(--closed)", failed: "var(--failed)", quiet: "var(--quiet)", timed_out: "var(--timed-out)",
  unfinished: "var(--unfinished)", began: "var(--ink)",
};
// Colors for what is not a status: no color has two meanings until there are more than five series.
const SERIES = ["var(--third)", "var(--second)", "var(--fourth)", "var(--fifth)", "var(--muted)", "var(--closed)",
  "var(--timed-out)", "var(--failed)"];
const KIND_COLORS = { finished: "var(--closed)", unfinished: "var(--unfinished)", peak: "var(--ink)" };
const reasonColor = (reasons, reason) => SERIES[reasons.indexOf(reason) % SERIES.length];
const legColor = (leg) => (leg === "to the hub" ? SERIES[0] : SERIES[1]);
const CONFIG = {
  background: null,
  font: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif",
  view: { stroke: null },
  axis: {
    labelColor: "var(--muted)", titleColor: "var(--muted)", gridColor: "var(--line)", domainColor: "var(--line)",
    tickColor: "var(--line)", labelSeparation: 6, titleFontWeight: 400, titleFontSize: 11, labelFontSize: 11, labelLimit: 220,
  },
  axisX: { grid: false },
  axisY: { minExtent: 38 }, // one width for numbers and durations, so that times line up between the charts
};
const DURATION_TICKS = [1, 10, 100, 1000, 1e4, 6e4, 6e5, 3.6e6, 3.6e7, 8.64e7, 8.64e8];
const DURATION_LABEL = "datum.value < 1000 ? datum.value + ' ms' : datum.value < 60000 ? datum.value / 1000 + ' s' : "
  + "datum.value < 3600000 ? datum.value / 60000 + ' min' : datum.value < 86400000 ? datum.value / 3600000 + ' h' : "
  + "datum.value / 86400000 + ' d'";
// The first tick and each midnight have the date below; ticks of whole days have nothing but the date.
const DATE = "utcFormat(datum.value, '%b %-d')";
const TIME_LABEL = "utchours(datum.value) || utcminutes(datum.value) "
  + `? datum.index == 0 ? [utcFormat(datum.value, '%H:%M'), ${DATE}] : utcFormat(datum.value, '%H:%M') `
  + `: datum.index == 0 || utcmonth(datum.value) + utcdate(datum.value) == 1 ? [${DATE}, utcFormat(datum.value, '%Y')] : ${DATE}`;
const FINE_TICKS = [1, 10, 50, 100, 500, 1000, 2000, 5000, 1e4, 3e4, 6e4, 1.2e5, 3e5, 6e5, 1.2e6, 3.6e6, 7.2e6, 1.44e7, 2.88e7,
  8.64e7, 1.728e8, 4.32e8];
// An interval that the range cuts begins outside of the plot.
const BAR = { type: "bar", stroke: "var(--surface)", strokeWidth: 0.5, clip: true };

function spec(description, height, body) {
  return { width: "container", height, config: CONFIG, description, ...body };
}

/** The same for all layers: a domain that several state is taken for several domains. */
function timeX() {
  return {
    field: "t", type: "temporal", title: null,
    scale: { type: "utc", domainMin: { expr: "from" }, domainMax: { expr: "to" }, nice: false },
    axis: { labelOverlap: "greedy", tickCount: { expr: "width / 80" }, labelExpr: TIME_LABEL },
  };
}

/** With ticks as close as the values ask for; in milliseconds. */
function durationAxis(values) {
  const wide = Math.max(...values) > 200 * Math.min(...values);
  return {
    values: wide ? DURATION_TICKS : FINE_TICKS, labelExpr: DURATION_LABEL, title: null, labelOverlap: "greedy",
  };
}

/** Of rows that are stacked: from `below` to `above`; `n` is their own number. */
function count(title) {
  return { field: "above", type: "quantitative", title, axis: { tickMinStep: 1, tickCount: 5, format: ",d" } };
}

function colors(field, domain, of) {
  return { field, type: "nominal", scale: { domain, range: domain.map(of) }, legend: null };
}

function endedPlot(step, statuses) {
  const domain = [...statuses, "began"];
  const color = colors("status", domain, (one) => STATUS_COLORS[one]);
  const tooltip = [
    { field: "when", title: "UTC" }, { field: "status", title: "what" },
    { field: "n", title: "connections", format: "," },
  ];
  return spec("Connections that ended, by status, and that began, over time", 230, {
    params: BOUNDS,
    encoding: { x: timeX(), color, tooltip },
    layer: [
      {
        data: { name: "ended" },
        transform: inBounds(step),
        params: DRAG,
        mark: BAR,
        encoding: {
          x2: { field: "t2" }, y: count("connections"), y2: { field: "below" },
          tooltip: [...tooltip, { field: "total", title: "of all ended", format: "," }],
        },
      },
      {
        data: { name: "started" },
        transform: inBounds(step),
        mark: { type: "line", interpolate: "step-after", strokeWidth: 1.4, clip: true },
        encoding: { y: count("connections") },
      },
    ],
  });
}

function openPlot(step) {
  const color = colors("kind", Object.keys(KIND_COLORS), (one) => KIND_COLORS[one]);
  const tooltip = [
    { field: "when", title: "UTC" }, { field: "kind", title: "what" },
    { field: "n", title: "connections", format: ",.1f" },
  ];
  return spec("Connections that were open at the same time", 200, {
    params: BOUNDS,
    encoding: { x: timeX(), y: count("open connections"), color, tooltip },
    layer: [
      {
        data: { name: "mean" },
        transform: inBounds(step),
        params: DRAG,
        mark: { type: "area", opacity: 0.75, interpolate: "monotone", clip: true },
        encoding: { y2: { field: "below" } },
      },
      {
        data: { name: "peaks" },
        transform: inBounds(step),
        mark: { type: "line", strokeWidth: 1, clip: true },
      },
    ],
  });
}

function durationsPlot(statuses) {
  const color = colors("status", statuses, (one) => STATUS_COLORS[one]);
  return spec("Connections that ended, by duration", 210, {
    layer: [
      {
        data: { name: "bars" },
        mark: BAR,
        encoding: {
          x: { field: "low", type: "quantitative", scale: { type: "log", nice: false }, axis: durationAxis([1, 1e9]) },
          x2: { field: "high" }, y: count("connections"), y2: { field: "below" }, color,
          tooltip: [
            { field: "span", title: "duration" }, { field: "status" },
            { field: "n", title: "connections", format: "," },
          ],
        },
      },
      {
        data: { name: "marks" },
        mark: { type: "rule", color: "var(--ink)", strokeDash: [3, 3] },
        encoding: { x: { field: "ms", type: "quantitative" } },
      },
      {
        data: { name: "marks" },
        mark: {
          type: "text", color: "var(--ink)", baseline: "top", fontSize: 11, dy: { expr: "datum.rank * 13" },
          align: { expr: "datum.rank < 2 ? 'left' : 'right'" }, dx: { expr: "datum.rank < 2 ? 4 : -4" },
        },
        encoding: { x: { field: "ms", type: "quantitative" }, y: { value: -40 }, text: { field: "label" } },
      },
    ],
  });
}

const ROW = 26;

function percentilesPlot(what, rows) {
  const axis = { ...durationAxis(rows.flatMap((row) => [row.p50, row.p99])), grid: true };
  const x = { type: "quantitative", scale: { type: "log", padding: 10 }, axis };
  const y = { field: "label", type: "nominal", sort: null, title: null, axis: { domain: false, ticks: false, labelPadding: 8 } };
  const tooltip = [
    { field: "label", title: what }, { field: "median" }, { field: "ninetieth", title: "p90" },
    { field: "highest", title: "p99" }, { field: "n", title: "connections", format: "," },
  ];
  const mark = (type, field, more) => ({
    mark: { type, color: "var(--closed)", ...more }, encoding: { x: { ...x, field }, y, tooltip },
  });
  return spec(`Durations by ${what}: median, p90 and p99`, rows.length * ROW, {
    data: { name: "rows" },
    layer: [
      {
        mark: { type: "rule", color: "var(--closed)", strokeWidth: 2, opacity: 0.55 },
        encoding: { x: { ...x, field: "p50" }, x2: { field: "p99" }, y, tooltip },
      },
      mark("tick", "p90", { thickness: 3, size: 14 }),
      mark("point", "p99", { size: 22, filled: true, opacity: 0.7 }),
      mark("circle", "p50", { size: 90, opacity: 1 }),
    ],
  });
}

function rejectionsPlot(step, reasons) {
  return spec("Rejected records over time, by reason", 170, {
    params: [...BOUNDS, ...DRAG],
    data: { name: "rows" },
    transform: inBounds(step),
    mark: BAR,
    encoding: {
      x: timeX(), x2: { field: "t2" }, y: count("records"), y2: { field: "below" },
      color: colors("reason", reasons, (one) => reasonColor(reasons, one)),
      tooltip: [
        { field: "when", title: "UTC" }, { field: "reason" }, { field: "n", title: "records", format: "," },
      ],
    },
  });
}

function delaysPlot(step, legs, rows) {
  const axis = { ...durationAxis(rows.map((row) => row.ms)), grid: true, title: "delay" };
  return spec("Delay of the export over time: median and p95", 190, {
    params: BOUNDS,
    data: { name: "rows" },
    transform: inBounds(step),
    encoding: {
      x: timeX(),
      y: { field: "ms", type: "quantitative", scale: { type: "log" }, axis },
      color: colors("leg", legs, legColor),
      tooltip: [
        { field: "when", title: "UTC" }, { field: "leg" }, { field: "name", title: "what" }, { field: "said", title: "delay" },
      ],
    },
    layer: [
      {
        params: DRAG,
        mark: { type: "line", strokeWidth: 1.8, clip: true },
        encoding: {
          strokeDash: {
            field: "name", type: "nominal", scale: { domain: ["median", "p95"], range: [[1, 0], [4, 3]] }, legend: null,
          },
        },
      },
      { mark: { type: "circle", size: 18, opacity: 1, clip: true } },
    ],
  });
}
