"use strict";
// Decompresses the data and the scripts of the page, then runs the scripts. Nothing is fetched.

async function decompressed(id) {
  const bytes = Uint8Array.from(atob(document.getElementById(id).textContent), (one) => one.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

async function run() {
  const script = document.createElement("script");
  // An open frame delays the load event: headless browsers print at that event.
  const frame = document.createElement("iframe");
  frame.hidden = true;
  document.body.append(frame);
  frame.contentDocument.open();
  try {
    window.aggregates = JSON.parse(await decompressed("data"));
    script.textContent = await decompressed("scripts");
    document.body.append(script);
  } catch (error) {
    document.getElementById("unreadable").hidden = false;
    console.error(error);
  }
  // A saved copy of the page must not contain what the page adds by itself.
  script.remove();
  frame.remove();
}

run();
