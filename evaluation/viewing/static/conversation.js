// An episode as a conversation, its replies token by token. The colours say what was asked for; hovering says the numbers.

import { counted, el, hideTip, short, showTip, signed, visible } from "./dom.js";

const MEANINGS = {
  none: ["plain", "the text alone"],
  probability: ["probability", "of each token under the distribution that it was drawn from; the unlikelier, the stronger"],
  advantage: ["advantage", "as the policy's loss took it: green is made likelier, red less likely"],
  value: ["value", "what the critic expected before it learned"],
  return: ["return", "what was paid from the token on"],
  learned: ["mask", "underlined tokens are learned from"],
};
const COLUMN = { probability: "logprobs", advantage: "advantages", value: "values", return: "returns", learned: "learned" };
const LEVELS = 8;
// Tokens of turns beyond these are made when they come into sight.
const AT_ONCE = 6;

export function coloursOf(episodes) {
  const tokens = episodes.flatMap((episode) => episode.turns.map((turn) => turn.tokens)).filter((one) => one);
  return ["none", ...Object.keys(COLUMN).filter((key) => tokens.some((one) => one[COLUMN[key]] !== null))];
}

export function colourBar(known, chosen, onchange) {
  const bar = el("div", { class: "segments", role: "radiogroup", "aria-label": "colour of the tokens" });
  const meaning = el("small", { class: "soft" });
  const pick = (key) => {
    for (const button of bar.children) button.setAttribute("aria-checked", String(button.value === key));
    meaning.textContent = MEANINGS[key][1];
    onchange(key);
  };
  bar.append(...known.map((key) => el("button", { type: "button", role: "radio", value: key, click: () => pick(key) }, MEANINGS[key][0])));
  pick(known.includes(chosen) ? chosen : known.includes("probability") ? "probability" : "none");
  return el("div", { class: "colours" }, bar, meaning);
}

export class Conversation {
  constructor(episode, differs = -1) {
    this.episode = episode;
    this.colour = "none";
    this.kept = "kind" in episode; // what is played for a comparison has one version of its weights alone
    this.bounds = Object.fromEntries(["advantages", "values", "returns"].map((key) => [key, largest(episode, key)]));
    this.replies = [];
    this.watcher = new IntersectionObserver((seen) => {
      for (const { target, isIntersecting } of seen) if (isIntersecting) this.write(Number(target.dataset.turn));
    }, { rootMargin: "600px" });
    this.node = el("div", { class: "conversation" }, episode.turns.map((turn, number) => this.turn(turn, number, differs)), this.ending());
  }

  close() {
    this.watcher.disconnect();
    hideTip();
  }

  setColour(colour) {
    this.colour = colour;
    for (const [number, reply] of this.replies.entries()) if (reply.written) this.paint(number);
  }

  turn(turn, number, differs) {
    const body = el("div", { class: "reply", "data-turn": number, pointermove: (event) => this.hover(event, number), click: (event) => this.hover(event, number),
      pointerleave: hideTip });
    this.replies.push({ body, turn, spans: [], written: false });
    if (number < AT_ONCE) this.write(number);
    else {
      body.textContent = visible(turn.text);
      this.watcher.observe(body);
    }
    const parts = Object.entries(turn.parts).map(([name, value]) => el("span", { class: "chip" }, `${visible(name)} ${signed(value)}`));
    const told = [
      turn.tokens ? counted(turn.tokens.ids.length, "token") : "no tokens kept",
      turn.tokens?.logprobs ? `mean probability ${short(mean(turn.tokens.logprobs.map(Math.exp)))}` : null,
      turn.tokens && this.kept ? `weights ${turn.version}` : null,
      turn.prompt_tokens ? `after ${turn.prompt_tokens.toLocaleString("en")} prompt tokens` : null,
    ].filter((text) => text);
    return el("article", { class: number === differs ? "turn differs" : "turn" },
      el("h3", {}, `Turn ${number + 1}`, number === differs ? el("span", { class: "chip warn" }, "first difference") : null,
        el("b", { class: turn.reward > 0 ? "good" : turn.reward < 0 ? "bad" : "" }, signed(turn.reward))),
      el("div", { class: "shown" }, turn.messages.map((message) => messageOf(message))),
      el("div", { class: "said" }, body,
        el("p", { class: "chips" }, parts,
          turn.well_formed ? null : el("span", { class: "chip warn" }, "not well formed"),
          turn.cut_off ? el("span", { class: "chip warn" }, "cut off") : null,
          turn.actions.length ? el("span", { class: "chip action" }, `did ${visible(turn.actions.join(", "))}`) : null),
        el("p", { class: "soft small" }, told.join(" · "))));
  }

  ending() {
    const { final, stop, failure, outcome } = this.episode;
    return el("article", { class: "turn end" },
      el("h3", {}, "End", stop === outcome ? null : el("span", { class: "chip" }, visible(stop).replaceAll("_", " ")), el("span", { class: `chip ${outcome.replace(" ", "-")}` }, outcome)),
      el("div", { class: "shown" }, failure ? el("p", { class: "failure" }, visible(failure)) : null, final.map((message) => messageOf(message))));
  }

  write(number) {
    const reply = this.replies[number];
    if (reply.written) return;
    reply.written = true;
    this.watcher.unobserve(reply.body);
    const tokens = reply.turn.tokens;
    if (tokens === null) {
      reply.body.replaceChildren(visible(reply.turn.text) || el("i", { class: "soft" }, "nothing said"));
      return;
    }
    reply.spans = tokens.ids.map((id, index) => el("span", { "data-token": index }, written(tokens, index)));
    reply.body.replaceChildren(...reply.spans);
    this.paint(number);
  }

  paint(number) {
    const { turn, spans } = this.replies[number];
    spans.forEach((span, index) => { span.className = this.classOf(turn.tokens, index); });
  }

  classOf(tokens, index) {
    const column = tokens[COLUMN[this.colour]];
    const value = column?.[index];
    if (value === null || value === undefined) return "";
    if (this.colour === "learned") return value ? "learned" : "skipped";
    if (this.colour === "probability") return `heat h${Math.round((1 - Math.exp(value)) * LEVELS)}`;
    const level = Math.round((Math.abs(value) / (this.bounds[COLUMN[this.colour]] || 1)) * LEVELS);
    return `${value < 0 ? "minus" : "plus"} h${level}`;
  }

  hover(event, number) {
    const index = event.target.dataset?.token;
    if (index === undefined) return hideTip();
    const { turn } = this.replies[number];
    const { tokens } = turn;
    const logprob = tokens.logprobs?.[index];
    const rows = [[JSON.stringify(visible(written(tokens, index))), `id ${tokens.ids[index]}`]];
    if (logprob !== null && logprob !== undefined) rows.push(["probability", short(Math.exp(logprob))], ["log-probability", short(logprob)]);
    for (const [label, key] of [["advantage", "advantages"], ["value", "values"], ["return", "returns"]]) {
      if (tokens[key]) rows.push([label, signed(tokens[key][index])]);
    }
    if (tokens.learned) rows.push(["learned from", tokens.learned[index] ? "yes" : "no"]);
    if (this.kept) rows.push(["weights version", String(turn.version)]);
    rows.push(["token", `${Number(index) + 1} of ${tokens.ids.length}`]);
    showTip(event.clientX, event.clientY, rows);
  }
}

function messageOf(message) {
  const parts = message.parts.map((part) => ("image" in part ? picture(part.image) : el("p", {}, visible(part.text))));
  if (message.role === "system") return el("details", { class: "message" }, el("summary", {}, "system message"), parts);
  return el("div", { class: "message" }, parts);
}

function picture(source) {
  const image = el("img", { src: source, alt: "what the agent saw", loading: "lazy", load: () => {
    // Small pictures are drawn larger, pixel by pixel.
    const factor = Math.max(1, Math.floor(240 / Math.max(image.naturalWidth, 1)));
    if (factor > 1) {
      image.className = "pixels";
      image.width = image.naturalWidth * factor;
    }
  }, error: () => image.replaceWith(el("p", { class: "failure" }, "[this picture cannot be read]")) });
  return image;
}

function written(tokens, index) {
  return tokens.texts === null ? `⟨${tokens.ids[index]}⟩ ` : visible(tokens.texts[index]) || "·";
}

function largest(episode, key) {
  let bound = 0;
  for (const turn of episode.turns) for (const value of turn.tokens?.[key] ?? []) bound = Math.max(bound, Math.abs(value ?? 0));
  return bound;
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
