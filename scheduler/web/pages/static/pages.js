// What the pages do beyond links and forms: news as they come, keys, times that go on.
// Nothing is moved or replaced under the hand: a row changes in its place, new ones wait.
(() => {
  "use strict";

  const body = document.body;
  const news = document.getElementById("news");
  const liveness = document.getElementById("liveness");
  const keys = document.getElementById("keys");
  const say = (text) => { if (liveness.textContent !== text) liveness.textContent = text; };

  // Times: "3 min ago" as times.py writes it; what was to come and is over is "due 3 min ago".
  const words = (seconds) => {
    if (seconds < 90) return `${Math.round(seconds)} s`;
    if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
    if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
    return `${Math.round(seconds / 86400)} d`;
  };
  const serverAhead = () => {
    const at = document.querySelector("#as-of time");
    return at ? Date.parse(at.dateTime) - Date.now() : 0;
  };
  let ahead = serverAhead();
  const tick = () => {
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const seconds = (Date.parse(time.dateTime) - Date.now() - ahead) / 1000;
      const text = seconds > 0 ? `in ${words(seconds)}` : `${time.dataset.ago}${words(-seconds)} ago`;
      if (time.textContent !== text) time.textContent = text;
    }
  };
  setInterval(() => { if (!document.hidden) tick(); }, 5000);

  // What scrolls sideways can be reached and scrolled by the keyboard.
  const reach = () => {
    for (const wide of document.querySelectorAll(".wide")) {
      if (wide.scrollWidth <= wide.clientWidth) continue;
      wide.tabIndex = 0;
      wide.setAttribute("role", "group");
      wide.setAttribute("aria-label", "a wide table");
    }
  };
  reach();
  addEventListener("resize", reach);
  document.addEventListener("toggle", reach, true);

  // Of a picture that is wider than the screen, now is what is seen first, and its names stay.
  const keepNames = ({ target: box }) => {
    const picture = box.querySelector("svg.strip");
    if (!picture) return;
    const moved = (box.scrollLeft * picture.viewBox.baseVal.width) / picture.clientWidth;
    for (const name of picture.querySelectorAll(".name")) name.setAttribute("transform", `translate(${moved} 0)`);
  };
  document.addEventListener("scroll", (event) => { if (event.target.classList?.contains("scroll")) keepNames(event); }, true);
  const showNow = (box) => {
    const now = box.querySelector(".now, .today");
    if (!now || box.scrollWidth <= box.clientWidth) return;
    const from = now.getBoundingClientRect().left - box.getBoundingClientRect().left;
    box.scrollLeft += from - box.clientWidth / 2;
  };
  document.querySelectorAll(".scroll").forEach(showNow);
  for (const chosen of document.querySelectorAll("nav [aria-current]")) {
    const row = chosen.parentElement; // a row of links that is wider than the screen
    row.scrollLeft += chosen.getBoundingClientRect().right - row.getBoundingClientRect().right + row.clientWidth / 3;
  }

  // The zone of this browser is one to choose.
  const zone = document.getElementById("zone");
  if (zone) {
    const mine = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const known = [...zone.options].find((option) => option.value === mine);
    if (known) { if (mine !== "UTC") known.textContent = `${mine} (this browser's)`; }
    else zone.add(new Option(`${mine} (this browser's)`, mine));
    zone.addEventListener("change", () => zone.form.requestSubmit());
    zone.form.querySelector("button").hidden = true;
  }

  // News: the page is asked for again, and what changed is put in its place.
  const isInUse = (element) => {
    const active = document.activeElement;
    if (active && active !== body && active.id !== "main" && element.contains(active)) return true;
    if (element.querySelector("details[open], input:checked")) return true;
    const selection = getSelection();
    return Boolean(selection && !selection.isCollapsed && selection.containsNode(element, true));
  };
  const replace = (old, fresh) => {
    if (old.innerHTML === fresh.innerHTML || isInUse(old)) return;
    const at = [...old.querySelectorAll(".scroll")].map((box) => box.scrollLeft);
    old.replaceChildren(...fresh.childNodes);
    old.querySelectorAll(".scroll").forEach((box, n) => { box.scrollLeft = at[n] ?? 0; });
    old.classList.remove("is-changed");
    void old.offsetWidth;
    old.classList.add("is-changed");
  };
  const keyed = (list) => new Map([...list.children].map((row) => [row.dataset.key, row]));
  const renewRows = (old, fresh) => {
    const before = keyed(old);
    let coming = 0;
    for (const [key, row] of keyed(fresh)) {
      const there = before.get(key);
      if (!there) coming += 1;
      else if (there.innerHTML !== row.innerHTML) replace(there, row.cloneNode(true));
    }
    return coming;
  };
  const countGone = (old, fresh) => {
    const there = fresh ? keyed(fresh) : new Map();
    return [...keyed(old).keys()].filter((key) => !there.has(key)).length;
  };
  let newest = null;
  const renew = (fresh) => {
    let coming = 0, gone = 0;
    for (const old of document.querySelectorAll("[data-live], [data-rows]")) {
      const next = old.id && fresh.getElementById(old.id);
      if (old.hasAttribute("data-rows")) gone += countGone(old, next);
      if (!next) continue;
      if (old.hasAttribute("data-rows")) coming += renewRows(old, next);
      else if (!old.querySelector("[data-rows]")) replace(old, next.cloneNode(true));
    }
    const asOf = fresh.querySelector("#as-of time");
    if (asOf) {
      const shown = document.querySelector("#as-of time");
      shown.dateTime = asOf.dateTime;
      shown.textContent = asOf.textContent;
      ahead = serverAhead();
    }
    newest = fresh;
    gone = Math.max(0, gone - coming); // a full list ends as much earlier as is new
    news.hidden = coming + gone === 0;
    news.textContent = [coming && `${coming} new`, gone && `${gone} gone`].filter(Boolean).join(", ");
    tick();
    reach();
  };
  const showNews = () => {
    if (!newest || news.hidden) return;
    for (const old of document.querySelectorAll("[data-rows]")) {
      const within = newest.getElementById(old.id) ? old : old.closest("[data-live]");
      const next = within && newest.getElementById(within.id);
      if (next) within.replaceChildren(...next.cloneNode(true).childNodes);
    }
    news.hidden = true;
    tick();
  };
  news.addEventListener("click", showNews);

  // What takes the server long is asked for seldom: a tenth of the time at most.
  const PAUSE = 2000, SHARE = 10;
  let asking = false, again = false, last = 0, pause = PAUSE;
  const refresh = async () => {
    if (document.hidden) return;
    if (asking) { again = true; return; }
    asking = true;
    try {
      await new Promise((done) => setTimeout(done, Math.max(300, last + pause - Date.now())));
      const begun = Date.now();
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      pause = Math.max(PAUSE, SHARE * (Date.now() - begun));
      if (answer.redirected && new URL(answer.url).pathname === "/sign-in") {
        say("signed out: reload");
        stop();
      } else if (answer.ok) {
        renew(new DOMParser().parseFromString(await answer.text(), "text/html"));
      }
    } catch {
      say("cut off, trying again");
    } finally {
      last = Date.now();
      asking = false;
      if (again) { again = false; refresh(); }
    }
  };

  // What comes without an event, as an alert does, is seen so much later at most.
  const EVERY = 15000;
  let source = null, timer = 0;
  const stop = () => { clearInterval(timer); if (source) source.close(); source = null; };
  const start = () => {
    if (source || document.hidden) return;
    timer = setInterval(() => {
      // A browser takes up a stream that broke off, and none that was refused.
      if (source.readyState === EventSource.CLOSED) { stop(); start(); }
      refresh();
    }, EVERY);
    source = new EventSource("/api/v1/events");
    source.onopen = () => say("live");
    source.onerror = () => say("cut off, trying again");
    for (const kind of ["run", "schedule", "account", "queue", "freeze", "batch", "collector", "calendar"])
      source.addEventListener(kind, refresh);
  };
  if (body.hasAttribute("data-is-live")) {
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) { stop(); say("paused"); } else { start(); refresh(); }
    });
    addEventListener("pagehide", stop);
    addEventListener("pageshow", (event) => { if (event.persisted) { start(); refresh(); } });
    start();
  }

  // All of a list's boxes at once.
  for (const all of document.querySelectorAll("input[data-all]")) {
    all.hidden = false;
    all.addEventListener("change", () => {
      for (const box of document.querySelectorAll(`input[name="${all.dataset.all}"]`)) box.checked = all.checked;
    });
  }

  // Keys.
  const open = document.getElementById("keys-button");
  open.hidden = false;
  open.addEventListener("click", () => keys.showModal());
  const move = (step) => {
    const rows = [...document.querySelectorAll("main tbody tr")];
    if (!rows.length) return;
    const at = rows.findIndex((row) => row.classList.contains("is-at"));
    const to = Math.min(Math.max(at + step, 0), rows.length - 1);
    if (at >= 0) rows[at].classList.remove("is-at");
    rows[to].classList.add("is-at");
    rows[to].scrollIntoView({ block: "nearest" });
    const link = rows[to].querySelector("a");
    if (link) link.focus({ preventScroll: true });
  };
  let isGoing = 0;
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    const types = target.closest && target.closest("input, select, textarea, dialog[open]");
    if (event.ctrlKey || event.metaKey || event.altKey || types) return;
    if (Date.now() - isGoing < 1500) {
      isGoing = 0;
      const link = document.querySelector(`.top nav a[data-key="${CSS.escape(event.key)}"]`);
      if (link) { event.preventDefault(); link.click(); }
      return;
    }
    if (event.key === "g") isGoing = Date.now();
    else if (event.key === "?") keys.showModal();
    else if (event.key === "/") {
      const field = document.querySelector("main [data-search], main .bar input:not([type=hidden])");
      if (field) { event.preventDefault(); field.focus(); }
    } else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === ".") showNews();
  });
})();
