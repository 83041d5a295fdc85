// Elements made of data. Text becomes text nodes and nothing else, whatever is written in it.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

// A short form of a number: four digits, no more.
export function short(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return value.toLocaleString("en");
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  return String(Number(value.toPrecision(4)));
}

export function counted(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

export function signed(value) {
  return value > 0 ? `+${short(value)}` : short(value);
}

// Text with what cannot be seen made visible.
export function visible(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ud800-\udfff]/gu, "\ufffd");
}

export function select(label, options, value, onchange, extra = {}) {
  const box = el("select", { change: () => onchange(box.value), ...extra }, options.map(([key, text]) =>
    el("option", { value: key, selected: key === value }, text)));
  return el("label", {}, el("span", {}, label), box);
}

let tip = null;

export function showTip(x, y, rows) {
  if (tip === null) document.body.append((tip = el("div", { class: "tip", role: "status" })));
  tip.replaceChildren(...rows.map(([name, value, mark]) => el("div", {},
    mark ? el("i", { class: `mark ${mark}` }) : null, el("span", {}, name), el("b", {}, value))));
  tip.hidden = false;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, x + 14 + width > innerWidth ? x - width - 14 : x + 14)}px`;
  tip.style.top = `${Math.max(4, y + 16 + height > innerHeight ? y - height - 12 : y + 16)}px`;
}

export function hideTip() {
  if (tip !== null) tip.hidden = true;
}
