// Two checkpoints on the same seed, side by side.

import { get, post, trouble } from "./api.js";
import { colourBar, coloursOf, Conversation } from "./conversation.js";
import { counted, el, select, short } from "./dom.js";

let colour = "";

export function showCompare(main, words, state) {
  const form = el("div", { class: "bar" });
  const result = el("div", { class: "result" });
  let [stopped, shown] = [false, []];
  main.append(form, result);

  const order = { left: "", right: "", environment: "", seed: 0, problem: 0, greedy: true, sampling: 0 };

  function whole(label, key, title) {
    const box = el("input", { type: "number", min: 0, max: 2147483647, step: 1, value: order[key], title, change: () => {
      order[key] = Number(box.value);
    } });
    return el("label", {}, el("span", {}, label), box);
  }

  async function begin() {
    let choices = null;
    try {
      choices = await get("choices");
    } catch (error) {
      return trouble(error.message);
    }
    if (stopped) return;
    if (choices.problems.length) result.append(...choices.problems.map((problem) => el("p", { class: "empty" }, problem)));
    if (!choices.checkpoints.length || !choices.environments.length) {
      if (!choices.problems.length) result.append(el("p", { class: "empty" }, "There is no environment that the recipe names."));
      return;
    }
    const several = state.runs.length > 1;
    const name = (entry) => [entry.word, several ? `${state.runs[entry.run].label}: ${entry.label}` : entry.label];
    const wanted = choices.environments.find((entry) => entry.task === words.get("task") && String(entry.run) === (words.get("run") ?? "0"));
    const environment = wanted ?? choices.environments[0];
    const models = choices.checkpoints.filter((entry) => !entry.word.includes(":checkpoints/"));
    Object.assign(order, { left: choices.checkpoints[0].word, right: (models.at(-1) ?? choices.checkpoints.at(-1)).word,
      environment: environment.word, seed: Number(words.get("seed") ?? environment.seed), problem: Number(words.get("problem") ?? 0) });
    const sampling = whole("drawn with seed", "sampling", "0: as the evaluation draws");
    sampling.hidden = order.greedy;
    const seed = whole("seed", "seed", "of the run, to meet the problems of its evaluation");
    const play = el("button", { type: "button", class: "main", click: () => start(play) }, "Play both");
    form.append(
      select("left", choices.checkpoints.map(name), order.left, (value) => { order.left = value; }),
      select("right", choices.checkpoints.map(name), order.right, (value) => { order.right = value; }),
      select("in", choices.environments.map(name), order.environment, (value) => {
        order.environment = value;
        order.seed = choices.environments.find((entry) => entry.word === value).seed;
        seed.querySelector("input").value = order.seed;
      }),
      seed, whole("problem", "problem", "number of the problem, from 0"),
      select("tokens", [["greedy", "likeliest"], ["sampled", "drawn"]], "greedy", (value) => {
        order.greedy = value === "greedy";
        sampling.hidden = order.greedy;
      }), sampling, play);
    if (words.has("task")) start(play);
  }

  async function start(button) {
    button.disabled = true;
    trouble("");
    try {
      const { number } = await post("plays", order);
      await follow(number);
    } catch (error) {
      if (!stopped) result.replaceChildren(el("p", { class: "empty" }, error.message));
    } finally {
      button.disabled = false;
    }
  }

  async function follow(number) {
    const begun = Date.now();
    while (!stopped) {
      const play = await get("play", { number });
      if (stopped) return;
      if (play.state === "done") return show(play);
      if (play.state === "failed") throw new Error(play.message);
      const what = play.state === "waiting" ? "waiting for another comparison" : `loading and playing, ${play.done} of 2 done`;
      result.replaceChildren(el("p", { class: "empty" }, `${what} … ${Math.round((Date.now() - begun) / 1000)} s`));
      await new Promise((resolve) => { setTimeout(resolve, 300); });
    }
  }

  function show(play) {
    const episodes = [play.left, play.right];
    const differs = firstDifference(...episodes);
    shown.forEach((one) => one.close());
    shown = episodes.map((episode) => new Conversation(episode, differs));
    const names = [...form.querySelectorAll("select")].slice(0, 2).map((box) => box.selectedOptions[0].textContent);
    const verdict = differs < 0 ? "Both said the same, token by token." :
      `The same up to turn ${differs + 1}, where the replies first differ.`;
    result.replaceChildren(
      el("section", { class: "panel title" }, el("p", {}, differs === 0 ? "The replies differ from the first turn on." : verdict),
        colourBar(coloursOf(episodes), colour, (chosen) => { colour = chosen; shown.forEach((one) => one.setColour(chosen)); })),
      el("div", { class: "sides" }, episodes.map((episode, side) => el("section", {},
        el("h2", {}, names[side], el("span", { class: `chip ${episode.outcome.replace(" ", "-")}` }, episode.outcome),
          el("span", { class: "chip" }, `reward ${short(episode.reward)}`), el("span", { class: "chip" }, counted(episode.turns.length, "turn"))),
        shown[side].node))));
  }

  begin();
  return () => {
    stopped = true;
    shown.forEach((one) => one.close());
  };
}

function firstDifference(left, right) {
  for (let turn = 0; turn < Math.max(left.turns.length, right.turns.length); turn += 1) {
    if (left.turns[turn]?.text !== right.turns[turn]?.text) return turn;
  }
  return -1;
}
