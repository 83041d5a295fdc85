// The frame: which page is shown is what the address says after its #.

import { get, trouble } from "./api.js";
import { showCompare } from "./compare.js";
import { showCurves } from "./curves.js";
import { el, hideTip } from "./dom.js";
import { showEpisode } from "./episode.js";
import { showEpisodes } from "./episodes.js";
import { showSettings } from "./settings.js";

const PAGES = {
  curves: ["Curves", showCurves],
  episodes: ["Episodes", showEpisodes],
  compare: ["Compare", showCompare],
  settings: ["Settings", showSettings],
  episode: [null, showEpisode],
};
const state = { runs: [] };
let leave = () => {};

function age(seconds) {
  if (seconds === null) return "nothing written yet";
  if (seconds < 90) return `written ${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `written ${Math.round(seconds / 60)} min ago`;
  return `written ${(seconds / 3600).toFixed(seconds < 36000 ? 1 : 0)} h ago`;
}

function showSubjects() {
  document.querySelector(".subjects").replaceChildren(...state.runs.map((run, number) => {
    const live = !run.finished && run.age !== null && run.age < 120;
    const word = run.finished ? "complete" : age(run.age);
    return el("span", { class: "subject", title: run.folder },
      state.runs.length > 1 ? el("i", { class: `mark s${number}` }) : el("i", { class: live ? "dot live" : "dot" }),
      el("b", {}, run.label), el("small", {}, `${run.kind === "run" ? "" : "evaluation, "}${word}`));
  }));
  document.title = `${state.runs.map((run) => run.label).join(", ")} · lmmr1 view`;
}

function open() {
  leave();
  hideTip();
  trouble("");
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const name = path in PAGES ? path : "curves";
  const shown = name === "episode" ? "episodes" : name;
  document.querySelector("nav").replaceChildren(...Object.entries(PAGES).filter(([, page]) => page[0]).map(([key, page]) =>
    el("a", { href: `#/${key}`, "aria-current": key === shown ? "page" : null }, page[0])));
  const main = document.querySelector("main");
  main.className = name;
  main.replaceChildren();
  leave = PAGES[name][1](main, new URLSearchParams(query ?? ""), state) ?? (() => {});
}

async function refresh() {
  state.runs = (await get("overview")).runs;
  showSubjects();
}

try {
  await refresh();
} catch (error) {
  trouble(error.message);
}
addEventListener("hashchange", open);
open();
setInterval(() => { if (!document.hidden) refresh().catch((error) => trouble(error.message)); }, 5000);
