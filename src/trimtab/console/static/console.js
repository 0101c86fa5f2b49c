// The console's only script: live parts, calls that open in place, copying. Every page works without it.
"use strict";

// <section data-live="URL"> is filled anew with each event of the stream, as long as the page is looked at.
function live(section) {
  let source = null;
  let paused = false;
  // Somebody reads in it, or stands in it with the keyboard.
  const busy = () => paused || section.querySelector("details[open]") || section.contains(document.activeElement);
  const show = (text) => {
    if (busy()) return;
    section.innerHTML = text;
    section.setAttribute("data-fresh", "");
    prepare(section);
  };
  const open = () => {
    if (source) return;
    source = new EventSource(section.dataset.live);
    source.onmessage = (event) => show(event.data);
    source.addEventListener("over", () => { close(); if (!busy()) location.reload(); });
  };
  const close = () => { if (source) source.close(); source = null; };
  const pause = document.querySelector("button[data-pause]");
  if (pause) {
    pause.hidden = false;
    pause.addEventListener("click", () => {
      paused = !paused;
      pause.textContent = paused ? "Go on" : "Pause";
      paused ? close() : open();
    });
  }
  document.addEventListener("visibilitychange", () => (document.hidden || paused ? close() : open()));
  addEventListener("pagehide", close);
  if (!document.hidden) open();
}

// <details data-src="URL"> fetches what it shows when it is opened first.
async function openInPlace(details) {
  if (!details.open || details.dataset.done) return;
  const inner = details.querySelector(".inner");
  details.dataset.done = "1";
  try {
    const reply = await fetch(details.dataset.src, { credentials: "same-origin" });
    if (!reply.ok || reply.redirected) throw new Error(String(reply.status));
    inner.innerHTML = await reply.text();
    prepare(inner);
  } catch (error) {
    delete details.dataset.done;
    inner.textContent = "This could not be loaded (" + error.message + "). Close and open it to try again.";
  }
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select the text and copy it";
  }
}

// What only works with this script shows only with it.
const prepare = (part) => part.querySelectorAll("button[data-copy]").forEach((button) => { button.hidden = false; });

document.addEventListener("toggle", (event) => {
  if (event.target.matches("details[data-src]")) openInPlace(event.target);
}, true);
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button) copy(button);
});
document.addEventListener("submit", (event) => {
  const said = event.target.dataset.confirm;
  if (said && !confirm(said)) event.preventDefault();
});
document.querySelectorAll("[data-live]").forEach(live);
prepare(document);
