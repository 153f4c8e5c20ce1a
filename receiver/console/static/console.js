// What makes the pages livelier; all of them work without it. Rows and parts come from the server, escaped as the pages are.
"use strict";

const MOST_ROWS = 200;
const SCREENFUL = 50;
const MOST_PAGES = 100;

function parsed(html) {
  return new DOMParser().parseFromString(html, "text/html");
}

/* Parts of a page are loaded again every few seconds: replaced as a whole, unless somebody is using them. */
async function keepFresh() {
  const parts = () => [...document.querySelectorAll("[data-refresh]")];
  if (!parts().length) return;
  const seconds = Math.min(...parts().map((part) => Number(part.dataset.refresh)));
  await new Promise((resolve) => { setTimeout(resolve, seconds * 1000); });
  if (!document.hidden && !parts().every(isInUse)) {
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, credentials: "same-origin" });
      if (answer.redirected) return;
      const page = answer.ok && parsed(await answer.text());
      if (page) parts().filter((part) => !part.parentElement.closest("[data-refresh]")).forEach((part) => renew(part, page));
    } catch {
      // The console is away for a moment; what is shown stays.
    }
  }
  keepFresh();
}

function renew(part, page) {
  if (isInUse(part)) {
    for (const within of part.querySelectorAll("[data-refresh]")) renew(within, page);
    return;
  }
  const fresh = page.getElementById(part.id);
  if (fresh) part.replaceWith(fresh);
  else part.remove();
}

function isInUse(part) {
  const isTyped = [...part.querySelectorAll("input, textarea")].some((one) => one.value !== one.defaultValue);
  return isTyped || part.contains(document.activeElement) || Boolean(part.querySelector("details[open]"));
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

/* Times come in UTC. Here they are shown in the reader's zone, with UTC beside. */
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const inZone = (at) => new Date(at.getTime() - at.getTimezoneOffset() * 60000).toISOString().replace("T", " ");

function localise(part) {
  for (const one of part.querySelectorAll("time[datetime]")) {
    const at = new Date(one.dateTime);
    const style = one.dataset.utc;
    if (Number.isNaN(at.getTime()) || !at.getTimezoneOffset() || style === "") continue;
    const [local, utc] = [inZone(at), at.toISOString().replace("T", " ")];
    one.dataset.utc = "";
    if (style === "clock") {
      one.textContent = local.slice(11, 19);
      one.nextElementSibling.textContent = local.slice(0, 10);
      one.nextElementSibling.after(beside(`${utc.slice(11, 19)} UTC`));
    } else if (style === "full") {
      const length = one.textContent.length - " UTC".length;
      one.append(beside(` (${one.textContent})`));
      one.firstChild.textContent = local.slice(0, length);
    } else {
      one.title = `${local.slice(0, 19)} ${zone}, ${utc.slice(0, 19)} UTC`;
    }
  }
  for (const one of part.querySelectorAll("[data-tick]")) {
    const at = new Date(Number(one.dataset.tick));
    if (!at.getTimezoneOffset()) continue;
    const day = /^[A-Z]/.test(one.textContent) ? `${at.toLocaleDateString("en", { weekday: "short" })} ` : "";
    one.textContent = day + inZone(at).slice(11, 16);
  }
  if (new Date().getTimezoneOffset()) for (const one of part.querySelectorAll(".zone")) one.textContent = zone;
}

function beside(text) {
  const made = document.createElement("span");
  made.className = "date";
  made.textContent = text;
  return made;
}

/* Keys, unless somebody is writing; whoever speaks to the computer may switch them off. */
function press(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const move = { j: 1, k: -1 }[event.key];
  if (event.key === "?") document.getElementById("keys").togglePopover();
  else if (event.key === "/") document.querySelector("main [role=search] :is(input:not([type=hidden]), select)")?.focus();
  else if (move) step(move);
  else return;
  event.preventDefault();
}

function step(move) {
  const links = [...document.querySelectorAll("main tbody tr")]
    .map((row) => row.querySelector("a[href]"))
    .filter((link) => link?.getClientRects().length);
  const now = links.findIndex((link) => link.closest("tr").contains(document.activeElement));
  links[now < 0 ? 0 : Math.min(Math.max(now + move, 0), links.length - 1)]?.focus();
}

function keys() {
  const choice = document.getElementById("keys-on");
  if (!choice) return;
  const use = (isOn) => (isOn ? addEventListener("keydown", press) : removeEventListener("keydown", press));
  choice.checked = localStorage.getItem("frontdesk-keys") !== "off";
  choice.addEventListener("change", () => {
    localStorage.setItem("frontdesk-keys", choice.checked ? "on" : "off");
    use(choice.checked);
  });
  use(choice.checked);
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

localise(document);
new MutationObserver((changes) => {
  for (const change of changes) for (const node of change.addedNodes) if (node.nodeType === Node.ELEMENT_NODE) localise(node);
}).observe(document.getElementById("main"), { childList: true, subtree: true });
keys();
keepFresh();
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
