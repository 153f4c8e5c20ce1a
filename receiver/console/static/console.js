// What makes the pages livelier; all of them work without it. Rows and parts come from the server, escaped as the pages are.
"use strict";

const MOST_ROWS = 200;
const SCREENFUL = 50;
const MOST_PAGES = 100;

function parsed(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

/* Parts of a page that are loaded again every few seconds: replaced as a whole, unless somebody is using them. */
function refresh(part) {
  const every = Number(part.dataset.refresh) * 1000;
  const tick = async () => {
    const now = document.getElementById(part.id);
    if (!now || !now.dataset.refresh) return;
    const isBusy = (shown) => document.hidden || shown.contains(document.activeElement) || shown.querySelector("details[open]");
    if (!isBusy(now)) {
      try {
        const answer = await fetch(location.href, { headers: { accept: "text/html" }, credentials: "same-origin" });
        const fresh = answer.ok && !answer.redirected && parsed(await answer.text()).getElementById(part.id);
        const shown = document.getElementById(part.id);
        if (fresh && !isBusy(shown)) shown.replaceWith(fresh);  // somebody may have moved the focus into it meanwhile
        if (answer.redirected) return;
      } catch {
        // The console is away for a moment; what is shown stays.
      }
    }
    setTimeout(tick, every);
  };
  setTimeout(tick, every);
}

/* The list of events, as they come. */
function follow(sign) {
  const rows = document.getElementById("rows");
  const state = document.getElementById("live-state");
  const pause = document.getElementById("pause");
  let source = null;
  let fresh = 0;

  const show = (id, html) => {
    const row = parsed(`<table><tbody>${html}</tbody></table>`).querySelector("tr");
    const old = document.getElementById(`e-${id}`);
    if (old) {
      if (!old.contains(document.activeElement)) old.replaceWith(row);
      return;
    }
    row.classList.add("fresh");
    rows.prepend(row);
    document.getElementById("empty")?.remove();
    fresh += 1;
    while (rows.rows.length > MOST_ROWS) rows.lastElementChild.remove();
  };

  const listen = () => {
    source = new EventSource(sign.dataset.live);
    source.onopen = () => { sign.classList.add("on"); state.textContent = "Live"; };
    source.onerror = () => { sign.classList.remove("on"); state.textContent = "Not live; reconnecting"; };
    source.addEventListener("kept", (message) => {
      const { id, row } = JSON.parse(message.data);
      show(id, row);
    });
  };

  // Said now and then, not for every event: somebody may be listening to the page.
  setInterval(() => {
    if (fresh && source) state.textContent = `Live, ${fresh} new`;
  }, 5000);

  pause.hidden = false;
  pause.addEventListener("click", () => {
    if (source) {
      source.close();
      source = null;
      sign.classList.remove("on");
      state.textContent = "Paused";
      pause.textContent = "Resume";
    } else {
      pause.textContent = "Pause";
      listen();
    }
    pause.setAttribute("aria-pressed", String(!source));
  });
  listen();
}

/* A search or a count that did not come to its end goes on by itself, until a screenful is found or it is at the end. */
async function searchOn() {
  const rows = document.getElementById("rows");
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const link = document.getElementById("search-on");
    if (!link || rows?.rows.length >= SCREENFUL) return;
    let next;
    try {
      const answer = await fetch(link.href, { headers: { accept: "text/html" }, credentials: "same-origin" });
      if (!answer.ok || answer.redirected) return;
      next = parsed(await answer.text());
    } catch {
      return;  // The console is away; the link is still there.
    }
    rows?.append(...(next.getElementById("rows")?.rows ?? []));
    show(next, "onward");
    show(next, "empty");
    if (rows?.rows.length) document.getElementById("empty")?.remove();
  }
}

/* Replaces a part by that of another page, and keeps whoever is in it there. */
function show(page, id) {
  const old = document.getElementById(id);
  const fresh = page.getElementById(id);
  if (!old || !fresh) return;
  const busy = old.contains(document.activeElement) && document.activeElement.tagName;
  old.replaceWith(fresh);
  if (busy) fresh.querySelector(busy)?.focus();
}

/* A form is sent once, however often it is pressed. */
document.addEventListener("submit", (event) => {
  for (const button of event.target.querySelectorAll("button")) {
    setTimeout(() => { button.disabled = event.target.method === "post"; }, 0);
  }
});
addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button:disabled")) button.disabled = false;
});

// On a phone the navigation is wider than the screen.
// Not by scrollIntoView: in Chromium, Tab would then go on from there and pass the link that skips to the content.
const current = document.querySelector("nav [aria-current]");
for (let strip = current?.parentElement; strip?.closest("nav"); strip = strip.parentElement) {
  const [inner, outer] = [current.getBoundingClientRect(), strip.getBoundingClientRect()];
  strip.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
}
for (const part of document.querySelectorAll("[data-refresh]")) refresh(part);
const sign = document.getElementById("live");
if (sign) follow(sign);
searchOn();

/* Buttons that copy a part of the page. */
for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) continue;  // only where the browser trusts the address
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select the text and copy it";
    }
  });
}
