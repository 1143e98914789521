"use strict";
// What the page shows of the chosen groups: rows for plots and tables. Pure: data and a filter in, rows out.
// A filter has destination, region and status, each a value or "" for all.

const BINS = 40;
const KEYS = ["destination", "region", "status"];

function groupsOf(data) {
  return data.groups.map(([g, destination, region, status]) => ({ g, destination, region, status }));
}

function chosenBy(groups, filter) {
  return groups.filter((one) => KEYS.every((key) => !filter[key] || one[key] === filter[key]));
}

function sum(rows, value = (row) => row[row.length - 1]) {
  return rows.reduce((total, row) => total + value(row), 0);
}

/** Adds up what `of` gives for each row, by what `by` gives. */
function sumBy(rows, by, of) {
  const found = new Map();
  for (const row of rows) found.set(by(row), (found.get(by(row)) || 0) + of(row));
  return found;
}

/** Rows of the groups that are chosen: each begins with its group. */
function within(rows, chosen) {
  const wanted = new Set(chosen.map((one) => one.g));
  return rows.filter((row) => wanted.has(row[0]));
}

/** Rows one upon the other wherever `at` is the same: each from `below` to `above` of `total`, in the order of `kinds`. */
function stacked(rows, at, kind, kinds) {
  const heights = new Map();
  const sorted = [...rows].sort((a, b) => kinds.indexOf(a[kind]) - kinds.indexOf(b[kind]) || a[at] - b[at]);
  const piled = sorted.map((row) => {
    const below = heights.get(row[at]) || 0;
    heights.set(row[at], below + row.n);
    return { ...row, below, above: below + row.n };
  });
  return piled.map((row) => ({ ...row, total: heights.get(row[at]) }));
}

/** By bar: how many connections ended, by status, and how many began. */
function counted(data, chosen) {
  const status = new Map(chosen.map((one) => [one.g, one.status]));
  const { start, step, count } = data.bars;
  const ended = sumBy(within(data.ended, chosen), (row) => `${row[1]} ${status.get(row[0])}`, (row) => row[2]);
  const started = sumBy(within(data.started, chosen), (row) => row[1], (row) => row[2]);
  return {
    ended: [...ended].map(([key, n]) => {
      const [bar, name] = key.split(" ");
      return { t: start + bar * step, t2: start + (+bar + 1) * step, status: name, n };
    }),
    started: Array.from({ length: count + 1 }, (_, bar) => {
      const n = started.get(Math.min(bar, count - 1)) || 0;
      return { t: start + bar * step, status: "began", n, above: n };
    }),
  };
}

/** By interval: how many were open on average, with a row in the table or without; and the most, of all groups. */
function openNow(data, chosen) {
  const { start, step, count } = data.points;
  const mean = (groups) => {
    const changes = new Map();
    for (const [, point, n, part] of within(data.open, groups)) {
      const [before, inside] = changes.get(point) || [0, 0];
      changes.set(point, [before + n, inside + part]);
    }
    let carried = 0;
    return Array.from({ length: count }, (_, point) => {
      const [n, part] = changes.get(point) || [0, 0];
      const here = carried + part;
      carried += n;
      return Math.max(0, here);
    });
  };
  const times = Array.from({ length: count }, (_, point) => start + (point + 0.5) * step);
  const finished = mean(chosen.filter((one) => one.status !== "unfinished"));
  const rest = mean(chosen.filter((one) => one.status === "unfinished"));
  const changed = sumBy(within(data.open, chosen), (row) => row[1], (row) => row[2]);
  const highest = new Map(data.peaks);
  let carried = 0;
  const peaks = times.map((_, point) => {
    const most = Math.max(carried, highest.get(point) || 0);
    carried += changed.get(point) || 0;
    return most;
  });
  const all = chosen.length === data.groups.length;
  return {
    mean: times.flatMap((t, point) => [
      { t, kind: "finished", n: finished[point] }, { t, kind: "unfinished", n: rest[point] },
    ]),
    peaks: all ? times.map((t, point) => ({ t, kind: "peak", n: peaks[point], above: peaks[point] })) : [],
    most: all ? Math.max(0, ...peaks) : Math.max(0, ...times.map((_, point) => finished[point] + rest[point])),
    exact: all,
  };
}

function lower(bin) {
  return bin < 0 ? 0 : 10 ** (bin / BINS);
}

/** A percentile (0 to 1) of [bin, n] pairs; inside a bin, durations are taken to be spread evenly by ratio. */
function percentile(pairs, share, most = Infinity) {
  const sorted = [...sumBy(pairs, (pair) => pair[0], (pair) => pair[1])].sort((a, b) => a[0] - b[0]);
  const rank = share * sum(sorted);
  let below = 0;
  for (const [bin, n] of sorted) {
    if (below + n >= rank) {
      const at = bin < 0 ? 0.5 : 10 ** ((bin + (rank - below) / n) / BINS);
      return Math.min(at, most);
    }
    below += n;
  }
  return null;
}

/** Bars of the histogram: five to a power of ten. */
function histogram(data, chosen) {
  const status = new Map(chosen.map((one) => [one.g, one.status]));
  const found = sumBy(
    within(data.durations, chosen), (row) => `${Math.floor(row[1] / 8)} ${status.get(row[0])}`, (row) => row[2],
  );
  return [...found].map(([key, n]) => {
    const [wide, name] = key.split(" ");
    return { low: 10 ** (wide / 5), high: 10 ** ((+wide + 1) / 5), status: name, n };
  });
}

/** Count, failures and percentiles of the durations, of the chosen groups together. */
function durations(data, chosen) {
  const pairs = within(data.durations, chosen).map((row) => [row[1], row[2]]);
  const longest = Math.max(0, ...within(data.longest, chosen).map((row) => row[5]));
  const ended = within(data.ended, chosen);
  const failed = within(data.ended, chosen.filter((one) => one.status === "failed"));
  const at = (share) => percentile(pairs, share, longest);
  return {
    n: sum(ended), failed: sum(failed), known: sum(pairs),
    p50: at(0.5), p90: at(0.9), p99: at(0.99), longest: pairs.length ? longest : null,
  };
}

/** The same by destination or region, those with most connections first. */
function durationsBy(data, chosen, key) {
  return [...new Set(chosen.map((one) => one[key]))]
    .map((label) => ({ label, ...durations(data, chosen.filter((one) => one[key] === label)) }))
    .filter((row) => row.n)
    .sort((a, b) => (a.label === "(other)") - (b.label === "(other)") || b.n - a.n || (a.label < b.label ? -1 : 1));
}

function statuses(data, chosen) {
  return [...new Set(chosen.map((one) => one.status))]
    .map((status) => ({ status, n: sum(within(data.ended, chosen.filter((one) => one.status === status))) }))
    .filter((row) => row.n)
    .sort((a, b) => b.n - a.n);
}

function errors(data, chosen) {
  const told = sumBy(within(data.errors, chosen), (row) => row[1], (row) => row[2]);
  const rest = sum(within(data.with_error, chosen)) - sum([...told]);
  const rows = [...told].map(([error, n]) => ({ error, n })).sort((a, b) => b.n - a.n);
  return rest ? [...rows, { error: null, n: rest }] : rows;
}

/** By leg and bar: percentiles of the delays. */
function delays(data) {
  const { start, step } = data.bars;
  const cells = new Map();
  for (const [leg, bar, bin, n] of data.delays) {
    const key = `${bar} ${leg}`;
    if (!cells.has(key)) cells.set(key, []);
    cells.get(key).push([bin, n]);
  }
  return [...cells].flatMap(([key, pairs]) => {
    const [bar, leg] = key.split(" ");
    return [["median", 0.5], ["p95", 0.95]].map(([name, share]) => ({
      t: start + (+bar + 0.5) * step, leg, name, ms: Math.max(1, percentile(pairs, share)),
    }));
  }).sort((a, b) => a.t - b.t);
}

function delaysOf(data, leg) {
  const pairs = data.delays.filter((row) => row[0] === leg).map((row) => [row[2], row[3]]);
  const [, most] = data.longest_delays.find((row) => row[0] === leg) || [leg, null];
  const at = (share) => percentile(pairs, share, most);
  return { n: sum(pairs), p50: at(0.5), p95: at(0.95), p99: at(0.99), most };
}
