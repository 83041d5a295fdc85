// One episode, and the way to its neighbours in the list that it was found in.

import { get, trouble } from "./api.js";
import { colourBar, coloursOf, Conversation } from "./conversation.js";
import { counted, el, short, visible } from "./dom.js";

let colour = "";

export function showEpisode(main, words, state) {
  const query = Object.fromEntries(words);
  const { folder, line, ...found } = query;
  let [conversation, stopped] = [null, false];

  async function step(by) {
    try {
      // The list may have grown since: where this episode stands in it is asked anew.
      const { place } = await get("episodes", { ...found, limit: 0, beside: `${folder}#${line}` });
      const offset = (place ?? -by) + by;
      const [next] = offset < 0 ? [] : (await get("episodes", { ...found, offset, limit: 1 })).episodes;
      if (next) location.hash = `#/episode?${new URLSearchParams({ ...found, folder: next.folder, line: next.line })}`;
      else trouble(`That was the ${by < 0 ? "first" : "last"} episode of the list.`);
    } catch (error) {
      trouble(error.message);
    }
  }

  function key(event) {
    if (event.target.closest("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "j" || event.key === "ArrowRight") step(1);
    if (event.key === "k" || event.key === "ArrowLeft") step(-1);
  }

  async function load() {
    let episode = null;
    try {
      episode = await get("episode", { run: query.run ?? "0", folder, line });
    } catch (error) {
      if (!stopped) main.append(el("p", { class: "empty" }, error.message));
      return;
    }
    if (stopped) return;
    conversation = new Conversation(episode);
    const place = [episode.kind === "training" ? `learned from in ${episode.stage}, iteration ${episode.iteration}` :
      `judged${episode.stage ? ` after ${episode.stage}` : ""}${episode.mode ? `, ${episode.mode}` : ""}`,
    `seed ${episode.key[0] ?? "–"}, number ${episode.key.at(-1) ?? "–"}, group ${episode.group}`,
    `context: ${episode.context}`].join(" · ");
    const facts = Object.entries(episode.facts);
    main.append(
      el("div", { class: "bar" },
        el("a", { class: "button", href: `#/episodes?${new URLSearchParams(found)}` }, "List"),
        el("button", { type: "button", title: "k or ←", click: () => step(-1) }, "Previous"),
        el("button", { type: "button", title: "j or →", click: () => step(1) }, "Next"),
        replayable(episode) ? el("a", { class: "button", href: `#/compare?${new URLSearchParams({ task: episode.environment, seed: episode.key[0],
          problem: episode.group, run: query.run ?? "0" })}` }, "Compare checkpoints on this problem") : null),
      el("section", { class: "panel title" },
        el("h2", {}, visible(episode.environment), el("span", { class: `chip ${episode.outcome.replace(" ", "-")}` }, episode.outcome),
          el("span", { class: "chip" }, `reward ${short(episode.reward)}`),
          el("span", { class: "chip" }, counted(episode.turns.length, "turn")),
          episode.stop === episode.outcome ? null : el("span", { class: "chip" }, visible(episode.stop).replaceAll("_", " "))),
        el("p", { class: "soft small" }, visible(place)),
        facts.length ? el("details", {}, el("summary", {}, "what the environment said"), el("dl", { class: "told" }, facts.map(([name, value]) =>
          [el("dt", {}, visible(name)), el("dd", {}, visible(value))]))) : null,
        colourBar(coloursOf([episode]), colour, (chosen) => { colour = chosen; conversation.setColour(chosen); }),
        note(episode)),
      conversation.node);
  }

  addEventListener("keydown", key);
  load();
  return () => {
    stopped = true;
    conversation?.close();
    removeEventListener("keydown", key);
  };
}

// An evaluation's episode: its problem can be played again from the seed and the number alone.
function replayable(episode) {
  return episode.kind === "evaluation" && episode.key.length === 3 && episode.key[1] === 1;
}

function note(episode) {
  const tokens = episode.turns.map((turn) => turn.tokens).filter((one) => one);
  if (tokens.some((one) => one.texts === null)) {
    return el("p", { class: "soft small" }, "The tokenizer of this model is not on this machine: tokens are shown by their numbers.");
  }
  if (tokens.length && episode.kind === "evaluation") {
    return el("p", { class: "soft small" }, "Nothing was learned from this episode, so it has no advantages.");
  }
  return null;
}
