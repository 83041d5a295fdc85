// The list of kept episodes. Only the rows in sight exist; the server has the order, and sends a part at a time.

import { get, trouble } from "./api.js";
import { el, short, visible } from "./dom.js";

const ROW = 30;
const PAGE = 100;
const CHOICES = { kind: "kind", stage: "stage", mode: "mode", environment: "environment", outcome: "outcome", stop: "ended by" };
const RANGES = { reward: "reward", turns: "turns", tokens: "tokens", iteration: "iteration" };
const COLUMNS = [["outcome", ""], ["reward", "reward"], ["turns", "turns"], ["tokens", "tokens"], ["stage", "stage"],
  ["iteration", "iteration"], ["environment", "environment"], ["stop", "ended by"], [null, "last reply"]];

export function showEpisodes(main, words, state) {
  const query = Object.fromEntries(words);
  const pages = new Map();
  let [total, version, timer, stopped, asked] = [0, -1, 0, false, 0];
  const bar = el("div", { class: "bar filters" });
  const count = el("span", { class: "count soft", role: "status" });
  const head = el("div", { class: "row head", role: "row" });
  const space = el("div", { class: "space" });
  const list = el("div", { class: "list", tabindex: 0, scroll: () => fill() }, space);
  const sheet = el("div", { class: "sheet" }, head, list);
  let isBare = false;
  const damage = el("details", { class: "damage", hidden: true });
  const newest = el("input", { type: "checkbox", checked: query.sort === "place", change: () => {
    query.sort = newest.checked ? "place" : "";
    change("descending", newest.checked ? "1" : "");
  } });
  main.append(bar, el("div", { class: "bar" }, count, el("label", {}, newest, el("span", {}, "newest first"))), damage, sheet);

  function change(key, value) {
    if (value === "" || value === null) delete query[key];
    else query[key] = value;
    if (!query.sort) delete query.sort;
    history.replaceState(null, "", `#/episodes?${new URLSearchParams(query)}`);
    reset();
  }

  function reset() {
    asked += 1;
    pages.clear();
    list.scrollTop = 0;
    showHead();
    load(0);
  }

  function showHead() {
    head.replaceChildren(...COLUMNS.map(([key, text]) => {
      if (key === null) return el("span", { class: "excerpt" }, text);
      const sorted = query.sort === key ? (query.descending ? "descending" : "ascending") : "none";
      return el("button", { type: "button", class: key, "aria-sort": sorted, title: `sort by ${key}`, click: () => {
        const again = query.sort === key && !query.descending;
        query.sort = key;
        newest.checked = false;
        change("descending", again ? "1" : "");
      } }, key === "stage" && isBare ? "played" : text || "●", sorted === "none" ? "" : sorted === "ascending" ? " ▲" : " ▼");
    }));
  }

  function showFilters(facets) {
    if (bar.contains(document.activeElement) && bar.childElementCount) return;
    const choices = Object.entries(CHOICES).filter(([key]) => (facets[key] ?? []).length > 1 || key in query).map(([key, label]) => {
      const values = facets[key] ?? [];
      const known = values.some(([value]) => value === query[key]) || !(key in query) ? [] : [[query[key], 0]];
      const box = el("select", { change: () => change(key, box.value === "*" ? "" : box.value) },
        el("option", { value: "*" }, "any"), [...values, ...known].map(([value, number]) =>
          el("option", { value, selected: query[key] === value }, `${visible(value) || "–"} (${number.toLocaleString("en")})`)));
      return el("label", {}, el("span", {}, label), box);
    });
    const ranges = Object.entries(RANGES).filter(([key]) => facets[key] && facets[key][0] !== facets[key][1] || `min_${key}` in query ||
      `max_${key}` in query).map(([key, label]) => el("label", {}, el("span", {}, label), ["min", "max"].map((end) => {
      const edge = facets[key] ? short(facets[key][end === "min" ? 0 : 1]) : "";
      const box = el("input", { type: "text", inputmode: "decimal", class: "edge", placeholder: edge, value: query[`${end}_${key}`] ?? "",
        "aria-label": `${end === "min" ? "least" : "most"} ${label}`, change: () => change(`${end}_${key}`, box.value.trim()) });
      return box;
    })));
    const text = el("input", { type: "search", placeholder: "in replies", value: query.text ?? "", "aria-label": "text in replies",
      input: () => { clearTimeout(timer); timer = setTimeout(() => change("text", text.value), 250); } });
    const run = state.runs.length < 2 ? null : el("label", {}, el("span", {}, "run"), (() => {
      const box = el("select", { change: () => change("run", box.value) }, state.runs.map((one, number) =>
        el("option", { value: number, selected: String(number) === (query.run ?? "0") }, one.label)));
      return box;
    })());
    const clear = el("button", { type: "button", click: () => {
      clear.blur();
      newest.checked = false;
      for (const key of Object.keys(query)) if (key !== "run") delete query[key];
      change("text", "");
    } }, "Clear");
    bar.replaceChildren(...[run, el("label", {}, el("span", {}, "text"), text), ...choices, ...ranges, clear].filter((node) => node));
  }

  async function load(page) {
    const turn = asked;
    pages.set(page, null);
    try {
      const answer = await get("episodes", { ...query, offset: page * PAGE, limit: PAGE });
      if (stopped || turn !== asked) return;
      take(page, answer);
    } catch (error) {
      if (stopped || turn !== asked) return;
      pages.delete(page);
      trouble(error.message);
      if (!bar.childElementCount) showFilters({}); // so that what is wrong can be put right
    }
  }

  function take(page, answer) {
    trouble("");
    if (answer.version !== version) pages.clear();
    version = answer.version;
    total = answer.total;
    pages.set(page, answer.episodes);
    showFilters(answer.facets);
    const found = total === answer.all ? `${total.toLocaleString("en")} episodes` :
      `${total.toLocaleString("en")} of ${answer.all.toLocaleString("en")} episodes`;
    count.textContent = answer.building ? `${found}; reading ${answer.files_read} of ${answer.files} files …` : found;
    damage.hidden = !answer.damaged_count;
    damage.replaceChildren(el("summary", {}, `${answer.damaged_count} damaged, left out`),
      el("ul", {}, answer.damaged.map((message) => el("li", {}, message))));
    space.style.height = total ? `${total * ROW}px` : "auto";
    const bare = (answer.facets.iteration ?? [0, 0])[1] === 0; // nothing here was learned from
    sheet.classList.toggle("bare", bare);
    if (bare !== isBare) {
      isBare = bare;
      showHead();
    }
    fill();
  }

  function fill() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
    const last = Math.min(total, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 5);
    for (let page = Math.floor(first / PAGE); page * PAGE < last; page += 1) if (!pages.has(page)) load(page);
    if (!total) {
      space.replaceChildren(el("p", { class: "empty" }, version < 1 ? "No episodes are kept here (yet). A run keeps some of every evaluation, and with tracking.episodes_every some that it learns from."
        : "No episode is like that."));
      return;
    }
    const rows = [];
    for (let place = first; place < last; place += 1) {
      const entry = pages.get(Math.floor(place / PAGE))?.[place % PAGE];
      const row = entry ? rowOf(entry) : el("div", { class: "row waiting" });
      row.style.transform = `translateY(${place * ROW}px)`;
      rows.push(row);
    }
    space.replaceChildren(...rows);
  }

  function rowOf(entry) {
    const address = new URLSearchParams({ ...query, run: query.run ?? "0", folder: entry.folder, line: entry.line });
    const cells = COLUMNS.slice(1, -1).map(([key]) => {
      const value = entry[key];
      const text = key === "iteration" && !value ? "" : typeof value === "number" ? short(value) : visible(value).replaceAll("_", " ");
      return el("span", { class: key, title: key === "environment" ? visible(value) : null }, text);
    });
    const stage = cells[3];
    if (entry.kind === "training") stage.append(el("small", {}, " training"));
    if (entry.mode) stage.append(el("small", {}, ` ${visible(entry.mode)}`));
    return el("a", { class: "row", href: `#/episode?${address}` },
      el("span", { class: "outcome", title: entry.outcome }, el("i", { class: `dot ${entry.outcome.replace(" ", "-")}` })),
      cells, el("span", { class: "excerpt" }, visible(entry.excerpt)));
  }

  async function watch() {
    if (stopped) return;
    if (!document.hidden) {
      try {
        const page = Math.floor(list.scrollTop / ROW / PAGE);
        const turn = asked;
        const answer = await get("episodes", { ...query, offset: page * PAGE, limit: PAGE });
        if (!stopped && turn === asked && (answer.version !== version || answer.building)) take(page, answer);
      } catch (error) {
        if (!stopped) trouble(error.message);
      }
    }
    again = setTimeout(watch, count.textContent.includes("reading") ? 500 : 3000);
  }

  let again = setTimeout(watch, 700);
  const resized = () => fill();
  addEventListener("resize", resized);
  reset();
  return () => {
    stopped = true;
    clearTimeout(timer);
    clearTimeout(again);
    removeEventListener("resize", resized);
  };
}
