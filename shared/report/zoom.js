"use strict";
// Zooms all time charts together: dragging across one of them selects the time that all of them show.

/** The part of the range that the time charts show, as [from, to] in ms; null for all of it. */
let zoomed = null;

function whole() {
  return [DATA.grid.from, DATA.grid.to];
}

/** For a time chart: the bounds of its axis, and the selection that a drag makes. */
const BOUNDS = [{ name: "from", value: 0 }, { name: "to", value: 1 }];
const DRAG = [{
  name: "drag",
  select: {
    type: "interval", encodings: ["x"], translate: false, zoom: false,
    mark: { fill: "var(--ink)", fillOpacity: 0.12, stroke: null },
  },
}];

/** Rows that a zoomed chart shows, with their neighbors, so that lines reach the edges and heights fit what is shown. */
function inBounds(step) {
  return [{ filter: `datum.t >= from - ${step} && datum.t <= to + ${step}` }];
}

function bound(view) {
  const [from, to] = zoomed || whole();
  return view.signal("from", from).signal("to", to).runAsync();
}

/** Shows a part of the range, at least as long as an interval of the charts, or all of it. */
function zoom(part) {
  const [first, last] = whole();
  const [from, to] = part || [first, last];
  const missing = Math.max(0, DATA.points.step - (to - from)) / 2;
  zoomed = [Math.max(first, from - missing), Math.min(last, to + missing)];
  if (zoomed[1] - zoomed[0] >= last - first || zoomed[0] >= zoomed[1]) zoomed = null;
  element("zoomed").hidden = !zoomed;
  if (zoomed) element("zoomed-range").textContent = `${when(zoomed[0])} to ${when(zoomed[1])} UTC`;
  for (const plot of Object.values(plots)) plot.then(({ view }) => view.zooms && bound(view));
}

/** Lets a time chart zoom all of them. */
function zoomable(target, view) {
  let chosen = null;
  view.zooms = true;
  target.classList.add("zooms");
  view.addSignalListener("drag", (_, { t }) => { chosen = t && [+t[0], +t[1]].sort((a, b) => a - b); });
  target.addEventListener("dblclick", () => { chosen = null; zoom(); writeAddress(); });
  addEventListener("pointerup", () => {
    if (!chosen) return;
    const [from, to] = chosen;
    chosen = null;
    view.signal("drag_x", [0, 0]).runAsync();
    if (to > from) { zoom([from, to]); writeAddress(); }
  });
  return bound(view);
}
