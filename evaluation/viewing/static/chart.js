// One picture of lines over steps: as SVG, drawn anew with each change.

import { el, hideTip, short, showTip, svg } from "./dom.js";

const HEIGHT = 190;
const LETTER = 6.5; // about the width of one in the stages' names
const MARGIN = { left: 46, right: 10, top: 18, bottom: 20 };

// A series: {label, mark, points: [[x, y, stage, step]...], dots, band: [[x, low, high]...]}.
export class Chart {
  constructor(title, onrange) {
    this.title = title;
    this.onrange = onrange;
    this.plot = svg("svg", { class: "plot", height: HEIGHT, role: "img", "aria-label": title });
    this.legend = el("span", { class: "legend" });
    this.note = el("small", { class: "soft" });
    this.node = el("figure", { class: "chart" }, el("figcaption", {}, el("b", {}, title), this.note, this.legend), this.plot);
    this.plot.addEventListener("pointermove", (event) => this.hover(event));
    this.plot.addEventListener("pointerleave", () => this.unhover());
    this.plot.addEventListener("pointerdown", (event) => { this.from = this.at(event); });
    this.plot.addEventListener("pointerup", (event) => this.zoom(event));
    this.plot.addEventListener("dblclick", () => this.onrange(null));
  }

  draw(series, stages, options) {
    this.width = Math.max(this.plot.clientWidth || 300, 120);
    this.series = series.map((one) => ({ ...one, smooth: one.dots ? one.points : smoothed(one.points, options.smoothing) }));
    const shown = (points) => points.filter(([x, y]) => inRange(x, options.range) && y !== null && (!options.log || y > 0));
    this.visible = this.series.map((one) => shown(one.smooth));
    const raw = this.series.map((one) => shown(one.points));
    const ends = this.series.flatMap((one) => one.band ?? []).flatMap(([x, low, high]) => [[x, low], [x, high]]);
    const all = [...raw, ...this.visible, shown(ends)].flat();
    const hidden = options.log ? this.series.flatMap((one) => one.points).filter(([, y]) => y !== null && y <= 0).length : 0;
    this.note.textContent = hidden ? `${hidden} values at or below 0 not shown` : "";
    // A line for each of several parts in several runs: the parts have the colours, the runs the kinds of lines.
    const legend = new Map(series.map((one) => [one.part ?? one.label, one.mark.split(" ")[0]]));
    const kinds = new Map(series.filter((one) => one.part && one.mark.includes(" ")).map((one) => [one.run, one.mark.split(" ")[1]]));
    this.legend.replaceChildren(...(series.length < 2 ? [] : [
      ...[...legend].map(([text, mark]) => el("span", {}, el("i", { class: `mark ${mark}` }), text)),
      ...[...kinds].map(([run, kind]) => el("span", {}, `${kind}: ${run}`))]));
    this.plot.setAttribute("viewBox", `0 0 ${this.width} ${HEIGHT}`);
    if (!all.length) {
      this.plot.replaceChildren(svg("text", { x: this.width / 2, y: HEIGHT / 2, class: "nothing" }, options.range ? "no values in this part" : "no values yet"));
      return;
    }
    this.scale(all, options);
    this.plot.replaceChildren(...this.grid(), ...this.stages(stages, options.range), ...this.lines(raw, options), this.cursor());
  }

  scale(all, options) {
    const xs = all.map((point) => point[0]);
    const ys = all.map((point) => (options.log ? Math.log10(point[1]) : point[1]));
    [this.left, this.right] = options.range ?? options.whole ?? extent(xs);
    let [low, high] = extent(ys);
    if (low === high) {
      const room = Math.abs(low) * 0.1 || 0.5;
      [low, high] = [low - room, high + room];
    }
    const room = (high - low) * 0.06;
    [this.low, this.high, this.log] = [low - room, high + room, options.log];
    if (this.left === this.right) [this.left, this.right] = [this.left - 0.5, this.right + 0.5];
  }

  x(value) {
    return MARGIN.left + ((value - this.left) / (this.right - this.left)) * (this.width - MARGIN.left - MARGIN.right);
  }

  y(value) {
    const place = ((this.log ? Math.log10(value) : value) - this.low) / (this.high - this.low);
    return HEIGHT - MARGIN.bottom - place * (HEIGHT - MARGIN.top - MARGIN.bottom);
  }

  grid() {
    const right = this.width - MARGIN.right;
    const values = this.log ? logTicks(this.low, this.high) : ticks(this.low, this.high, 5);
    const rows = values.flatMap((value) => {
      const y = this.y(value);
      return [svg("line", { x1: MARGIN.left, x2: right, y1: y, y2: y, class: "grid" }),
        svg("text", { x: MARGIN.left - 6, y: y + 3.5, class: "tick right" }, short(value))];
    });
    const columns = ticks(this.left, this.right, Math.max(2, Math.floor(this.width / 65)))
      .map((value) => {
        const atEdge = this.x(value) > this.width - 24;
        return svg("text", { x: atEdge ? this.width - 2 : this.x(value), y: HEIGHT - 5, class: atEdge ? "tick right" : "tick middle" }, short(value));
      });
    return [...rows, ...columns];
  }

  stages(stages, range) {
    const seen = stages.filter(([x]) => inRange(x, range)).map(([x, name]) => [this.x(x), name]);
    return seen.flatMap(([place, name], index) => {
      const line = svg("line", { x1: place, x2: place, y1: MARGIN.top - 6, y2: HEIGHT - MARGIN.bottom, class: "stage" });
      // As much of the name as there is room for before the next stage.
      const letters = Math.floor(((seen[index + 1]?.[0] ?? this.width) - place) / LETTER) - 1;
      if (letters < Math.min(name.length, 3)) return [line];
      const text = name.length > letters ? `${name.slice(0, letters - 1)}…` : name;
      return [line, svg("text", { x: place + 4, y: 11, class: "tick" }, text, svg("title", {}, name))];
    });
  }

  lines(raw, options) {
    return this.series.flatMap((one, index) => {
      const bands = (one.band ?? []).filter(([x, low]) => inRange(x, options.range) && (!options.log || low > 0))
        .map(([x, low, high]) => svg("line", { x1: this.x(x), x2: this.x(x), class: `band ${one.mark}`,
          y1: clamp(this.y(low)), y2: clamp(this.y(high)) }));
      const points = this.visible[index];
      const single = one.dots || points.length < 2;
      const dots = single ? points.map(([x, y]) => svg("circle", { cx: this.x(x), cy: this.y(y), r: 3, class: `point ${one.mark}` })) : [];
      const faint = options.smoothing > 0 && !one.dots ? [this.path(raw[index], `line faint ${one.mark}`)] : [];
      return [...bands, ...faint, this.path(points, `line ${one.mark}`), ...dots];
    });
  }

  path(points, name) {
    const places = thinned(points.map(([x, y]) => [this.x(x), this.y(y)]), this.width);
    return svg("path", { class: name, d: places.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("") });
  }

  cursor() {
    this.line = svg("line", { class: "cursor", y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom, visibility: "hidden" });
    return this.line;
  }

  at(event) {
    const box = this.plot.getBoundingClientRect();
    const share = (event.clientX - box.left - MARGIN.left) / (box.width - MARGIN.left - MARGIN.right);
    return this.left + Math.min(1, Math.max(0, share)) * (this.right - this.left);
  }

  hover(event) {
    if (!this.line) return;
    const wanted = this.at(event);
    const found = this.visible.map((points) => nearest(points, wanted));
    const first = found.filter((point) => point).sort((a, b) => Math.abs(a[0] - wanted) - Math.abs(b[0] - wanted))[0];
    if (!first) return;
    this.line.setAttribute("x1", this.x(first[0]));
    this.line.setAttribute("x2", this.x(first[0]));
    this.line.setAttribute("visibility", "visible");
    const rows = found.map((point, index) => point && [`${this.series[index].label}`, short(point[1]), this.series[index].mark])
      .filter((row) => row);
    showTip(event.clientX, event.clientY, [[first[2] || "step", `step ${first[3]}`], ...rows]);
  }

  unhover() {
    this.line?.setAttribute("visibility", "hidden");
    this.from = undefined;
    hideTip();
  }

  zoom(event) {
    if (this.from === undefined || !this.line) return;
    const [a, b] = [this.from, this.at(event)].sort((one, other) => one - other);
    this.from = undefined;
    if (b - a > (this.right - this.left) * 0.02) this.onrange([a, b]);
  }
}

function inRange(x, range) {
  return range === null || (x >= range[0] && x <= range[1]);
}

function clamp(y) {
  return Math.min(HEIGHT - MARGIN.bottom, Math.max(MARGIN.top, y));
}

function extent(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

// An exponential moving average without the pull towards its start, begun anew at each stage.
function smoothed(points, weight) {
  if (!weight) return points;
  let [sum, norm, stage] = [0, 0, null];
  return points.map(([x, y, name, step]) => {
    if (name !== stage) [sum, norm, stage] = [0, 0, name];
    if (y === null) return [x, null, name, step];
    [sum, norm] = [sum * weight + y * (1 - weight), norm * weight + (1 - weight)];
    return [x, sum / norm, name, step];
  });
}

// At most the lowest and the highest point of every column of pixels.
function thinned(places, width) {
  if (places.length <= 2 * width) return places;
  const kept = [];
  let begin = 0;
  for (let end = 1; end <= places.length; end += 1) {
    if (end < places.length && Math.floor(places[end][0]) === Math.floor(places[begin][0])) continue;
    const column = places.slice(begin, end);
    const low = column.reduce((a, b) => (b[1] < a[1] ? b : a));
    const high = column.reduce((a, b) => (b[1] > a[1] ? b : a));
    kept.push(...(low === high ? [low] : [low, high].sort((a, b) => a[0] - b[0])));
    begin = end;
  }
  return kept;
}

function nearest(points, wanted) {
  let best = null;
  for (const point of points) if (best === null || Math.abs(point[0] - wanted) < Math.abs(best[0] - wanted)) best = point;
  return best;
}

function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? rough;
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) {
    found.push(Math.abs(value) < step * 1e-6 ? 0 : Number(value.toPrecision(12)));
  }
  return found;
}

function logTicks(low, high) {
  const found = [];
  const apart = Math.max(1, Math.ceil((high - low) / 5));
  for (let power = Math.ceil(low); power <= high; power += apart) found.push(10 ** power);
  return found.length > 1 ? found : ticks(10 ** low, 10 ** high, 4).filter((value) => value > 0);
}
