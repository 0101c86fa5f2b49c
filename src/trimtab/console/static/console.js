// The console's only script: live parts, calls that open in place, copying. Every page works without it.
"use strict";

// <section data-live="URL"> is filled anew with each event of the stream, as long as the page is looked at.
function live(section) {
  let source = null;
  const open = () => {
    if (source) return;
    source = new EventSource(section.dataset.live);
    source.onmessage = (event) => {
      if (section.querySelector("details[open]")) return; // somebody reads in it
      if (section.contains(document.activeElement) && document.activeElement.matches("input, select, textarea")) return;
      const held = document.activeElement && section.contains(document.activeElement) ? document.activeElement.id : "";
      section.innerHTML = event.data;
      if (held) document.getElementById(held)?.focus();
      section.setAttribute("data-fresh", "");
    };
    source.addEventListener("over", () => { source.close(); location.reload(); });
  };
  const close = () => { if (source) source.close(); source = null; };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  if (!document.hidden) open();
}

// <details data-src="URL"> fetches what it shows when it is opened first.
function openInPlace(details) {
  details.addEventListener("toggle", async () => {
    const inner = details.querySelector(".inner");
    if (!details.open || details.dataset.done) return;
    details.dataset.done = "1";
    try {
      const reply = await fetch(details.dataset.src, { credentials: "same-origin" });
      if (!reply.ok) throw new Error(String(reply.status));
      inner.innerHTML = await reply.text();
      inner.querySelectorAll("[data-copy]").forEach(copies);
    } catch (error) {
      delete details.dataset.done;
      inner.textContent = "This could not be loaded (" + error.message + "). Close and open it to try again.";
    }
  });
}

function copies(button) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy).textContent;
    try { await navigator.clipboard.writeText(text); button.textContent = "Copied"; }
    catch { button.textContent = "Select the text and copy it"; }
  });
}

document.querySelectorAll("[data-live]").forEach(live);
document.querySelectorAll("details[data-src]").forEach(openInPlace);
document.querySelectorAll("[data-copy]").forEach(copies);
document.querySelectorAll("form[data-confirm]").forEach((form) =>
  form.addEventListener("submit", (event) => { if (!confirm(form.dataset.confirm)) event.preventDefault(); }));
