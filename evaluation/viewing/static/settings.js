// What a run was told to do, and what it said of itself.

import { el } from "./dom.js";

export function showSettings(main, words, state) {
  main.append(...state.runs.map((run) => {
    const told = Object.entries(run.told).map(([key, value]) =>
      [el("dt", {}, key), el("dd", {}, typeof value === "object" ? JSON.stringify(value, null, 1) : String(value))]);
    return el("section", { class: "panel" },
      el("h2", {}, run.label), el("p", { class: "soft" }, run.folder),
      told.length ? el("dl", { class: "told" }, told) : null,
      run.recipe ? el("pre", {}, run.recipe) : el("p", { class: "empty" }, "There is no recipe in this folder."));
  }));
}
