"use strict";
// Legends of buttons: each shows or hides a series of its plot.

const hidden = {};

/** Whether a plot shows a series. */
function shown(id, name) {
  return !hidden[id]?.has(name);
}

/** Makes a legend once. Series are [name, color, shape of the swatch]; `again` draws the plot. */
function legend(id, series, again) {
  const target = element(`legend-${id}`);
  if (hidden[id]) return;
  hidden[id] = new Set();
  target.replaceChildren(...series.map(([name, color, shape]) => {
    const button = make("button");
    button.type = "button";
    button.ariaPressed = "true";
    button.title = `hide ${name}`;
    const swatch = make("span", undefined, `swatch ${shape || ""}`);
    swatch.style.color = color;
    button.append(swatch, name);
    button.addEventListener("click", () => {
      if (!hidden[id].delete(name)) hidden[id].add(name);
      button.ariaPressed = String(shown(id, name));
      button.title = `${shown(id, name) ? "hide" : "show"} ${name}`;
      again();
    });
    return button;
  }));
}
