// Curves that go on while the run trains: each question brings only the rows that are new.

import { get, repeat } from "./api.js";
import { Chart } from "./chart.js";
import { counted, el, select, short } from "./dom.js";

const FAVOURITES = ["reward", "accuracy", "format_rate", "reply_tokens", "kl", "entropy", "loss", "policy_loss", "value_loss",
  "explained_variance", "clip_fraction", "grad_norm"];
const FIGURES = ["success", "return", "format_rate", "reply_tokens", "turns"];
const WHAT = { success: "held-out success", return: "held-out return", format_rate: "held-out format rate",
  reply_tokens: "held-out reply tokens", turns: "held-out turns" };
// The lines of the second, the third and all further runs where the colours stand for something else.
const KINDS = ["dashed", "dotted", "broken"];
const SIGHT = { smoothing: 0.6, log: false, clock: "step", range: null, chosen: null };

class Rows {
  constructor() {
    this.forget();
  }

  forget() {
    Object.assign(this, { generation: 0, steps: [], stages: [], hours: [], columns: new Map(), keys: [], evaluations: [],
      evaluationKeys: [], damaged: 0 });
  }

  // Takes an answer in; whether there is more to ask for at once.
  take(answer, asked) {
    if (answer.generation !== this.generation || answer.start !== this.steps.length) {
      this.forget();
      this.generation = answer.generation;
      if (answer.start) return true;
    }
    const before = this.steps.length;
    this.steps.push(...answer.steps);
    this.stages.push(...answer.stages);
    for (const key of asked) {
      const column = this.columns.get(key) ?? Array(before).fill(null);
      column.push(...(answer.columns[key] ?? answer.steps.map(() => null)));
      this.columns.set(key, column);
    }
    for (const wall of this.columns.get("wall_seconds").slice(before)) {
      this.hours.push((this.hours.at(-1) ?? 0) + (wall ?? 0) / 3600);
    }
    Object.assign(this, { keys: answer.keys, evaluations: answer.evaluations, evaluationKeys: answer.evaluation_keys,
      damaged: answer.damaged });
    return this.steps.length < answer.rows;
  }
}

export function showCurves(main, words, state) {
  const runs = state.runs.map(() => new Rows());
  const charts = new Map();
  const grid = el("div", { class: "charts" });
  const status = el("span", { class: "soft status" });
  const picker = el("div", { class: "picker", hidden: true });
  const choose = el("button", { type: "button", "aria-expanded": "false", click: () => {
    picker.hidden = !picker.hidden;
    choose.setAttribute("aria-expanded", String(!picker.hidden));
  } }, "Figures");
  const whole = el("button", { type: "button", hidden: true, click: () => setRange(null) }, "Whole run");
  const weight = el("output", {}, String(SIGHT.smoothing));
  const slider = el("input", { type: "range", min: 0, max: 0.99, step: 0.01, value: SIGHT.smoothing, input: () => {
    SIGHT.smoothing = Number(slider.value);
    weight.textContent = slider.value;
    draw();
  } });
  const log = el("input", { type: "checkbox", checked: SIGHT.log, change: () => { SIGHT.log = log.checked; draw(); } });
  const clock = select("over", [["step", "steps"], ["hours", "hours"]], SIGHT.clock, (value) => {
    SIGHT.clock = value;
    setRange(null);
  });
  const tables = el("div");
  const drawn = state.runs.some((run) => run.kind === "run");
  main.append(el("div", { class: "bar", hidden: !drawn }, choose, el("label", {}, el("span", {}, "smoothing"), slider, weight),
    el("label", {}, log, el("span", {}, "log")), clock, whole, status), picker, grid, tables);

  function setRange(range) {
    SIGHT.range = range;
    whole.hidden = range === null;
    draw();
  }

  // Every chart that there could be: a figure, a family of them (accuracy/NAME), or one of the evaluations.
  function catalogue() {
    const found = new Map();
    for (const rows of runs) {
      for (const key of rows.evaluationKeys) {
        const [task, mode, figure] = splitFigure(key);
        if (FIGURES.includes(figure)) {
          const name = `${WHAT[figure]}, ${mode}`;
          found.set(name, { figure, mode, tasks: [...new Set([...(found.get(name)?.tasks ?? []), task])] });
        }
      }
    }
    for (const rows of runs) {
      for (const key of rows.keys) {
        const family = key.includes("/") ? `${key.split("/")[0]}/…` : key;
        found.set(family, { keys: [...new Set([...(found.get(family)?.keys ?? []), key])] });
      }
    }
    return found;
  }

  function wanted(all) {
    if (SIGHT.chosen !== null) return [...all.keys()].filter((name) => SIGHT.chosen.has(name));
    const favourites = FAVOURITES.filter((key) => all.has(key) && says(key));
    const families = many(all.get("accuracy/…")) ? ["accuracy/…"] : [];
    const names = [...all.keys()];
    const solved = names.filter((name) => name.startsWith(WHAT.success));
    // Where no environment says what is solved, the return says how it went.
    const judged = solved.length ? solved : names.filter((name) => name.startsWith(WHAT.return));
    return [...judged, ...favourites.slice(0, 1), ...families,
      ...favourites.slice(1)];
  }

  // What is 0 throughout (the loss of a critic that there is not) need not be shown unasked.
  function says(key) {
    return runs.every((rows) => !rows.columns.has(key)) || runs.some((rows) => (rows.columns.get(key) ?? []).some((value) => value));
  }

  function seriesOf(entry) {
    const parts = entry.tasks ?? entry.keys;
    return runs.flatMap((rows, run) => parts.map((part, index) => {
      const several = parts.length > 1;
      const mark = `s${(several ? index : run) % 8}${several && run ? ` ${KINDS[Math.min(run, KINDS.length) - 1]}` : ""}`;
      const name = several ? part.split("/").slice(1).join("/") || part : part;
      const label = runs.length < 2 ? name : several ? `${name}, ${state.runs[run].label}` : state.runs[run].label;
      const told = { label, mark, run: state.runs[run].label, part: several && runs.length > 1 ? name : null };
      return { ...told, ...(entry.tasks ? evaluated(rows, part, entry) : trained(rows, part)) };
    })).filter((one) => one.points.some((point) => point[1] !== null));
  }

  function trained(rows, key) {
    const column = rows.columns.get(key) ?? [];
    const xs = SIGHT.clock === "hours" ? rows.hours : rows.steps;
    return { points: column.map((value, i) => [xs[i], value, rows.stages[i], rows.steps[i]]).filter((point) => point[1] !== null) };
  }

  function evaluated(rows, task, { mode, figure }) {
    const places = new Map(rows.steps.map((step, index) => [step, rows.hours[index]]));
    const made = rows.evaluations.filter((one) => `${task}/${mode}/${figure}` in one.figures).map((one) =>
      [SIGHT.clock === "hours" ? (places.get(one.step) ?? 0) : one.step, one]);
    const points = made.map(([x, one]) => [x, one.figures[`${task}/${mode}/${figure}`], `after ${one.stage}`, one.step]);
    const interval = figure === "return" ? "return_interval" : figure === "success" ? "interval" : null;
    const band = interval === null ? [] : made.map(([x, one]) => {
      const key = `${task}/${mode}/${interval}`;
      return [x, one.figures[`${key}/0`], one.figures[`${key}/1`]];
    }).filter((place) => place[1] !== undefined);
    return { points, band, dots: true };
  }

  function stageMarks() {
    const longest = runs.reduce((a, b) => (b.steps.length > a.steps.length ? b : a));
    const xs = SIGHT.clock === "hours" ? longest.hours : longest.steps;
    return longest.stages.flatMap((name, i) => (i === 0 || name !== longest.stages[i - 1] ? [[xs[i], name]] : []));
  }

  // The same for every chart, so that stages stand beneath each other.
  function extent() {
    const xs = runs.flatMap((rows) => (SIGHT.clock === "hours" ? rows.hours : rows.steps));
    if (!xs.length) return null;
    const early = runs.some((rows) => rows.evaluations.some((one) => one.step === 0));
    return [early ? 0 : xs.reduce((a, b) => Math.min(a, b)), xs.reduce((a, b) => Math.max(a, b))];
  }

  function draw() {
    const all = catalogue();
    const names = wanted(all);
    for (const [name, chart] of charts) {
      if (!names.includes(name)) {
        chart.node.remove();
        charts.delete(name);
      }
    }
    for (const name of names) {
      if (!charts.has(name)) charts.set(name, new Chart(name, setRange));
    }
    const order = names.map((name) => charts.get(name).node);
    if (order.some((node, index) => grid.children[index] !== node)) grid.replaceChildren(...order);
    const marks = stageMarks();
    for (const name of names) charts.get(name).draw(seriesOf(all.get(name)), marks, { ...SIGHT, whole: extent() });
    if (!names.length) grid.replaceChildren(el("p", { class: "empty" }, nothing(state)));
    showPicker(all, names);
    showTables();
    const total = runs.reduce((sum, rows) => sum + rows.steps.length, 0);
    const damaged = runs.reduce((sum, rows) => sum + rows.damaged, 0);
    const live = state.runs.some((run) => !run.finished);
    status.textContent = `${counted(total, "row")}${live ? ", read again every 2 s" : ""}` +
      (damaged ? `; ${counted(damaged, "damaged line")} left out` : "");
  }

  function showPicker(all, names) {
    const known = [...picker.querySelectorAll("input")].map((box) => box.name);
    if (known.join() === [...all.keys()].join()) return;
    picker.replaceChildren(...[...all.keys()].map((name) => {
      const box = el("input", { type: "checkbox", name, checked: names.includes(name), change: () => {
        SIGHT.chosen ??= new Set(names);
        if (box.checked) SIGHT.chosen.add(name);
        else SIGHT.chosen.delete(name);
        update();
      } });
      return el("label", {}, box, el("span", {}, name));
    }));
  }

  let tabled = "";
  function showTables() {
    const shown = JSON.stringify([state.runs.map((run) => run.tasks), runs.map((rows) => rows.evaluations.length)]);
    if (shown === tabled) return;
    tabled = shown;
    tables.replaceChildren(...state.runs.map((run, index) => {
      const points = [...runs[index].evaluations, ...(Object.keys(run.tasks).length ? [{ stage: "", figures: flat(run.tasks) }] : [])];
      return points.length ? evaluationTable(run.label, points) : null;
    }).filter((table) => table));
  }

  let drawnFor = null;
  // All figures of the charts that are shown, since what is chosen later starts with all its rows.
  async function update() {
    const names = new Set(wanted(catalogue()));
    const keys = ["wall_seconds", ...[...catalogue()].filter(([name]) => names.has(name)).flatMap(([, entry]) => entry.keys ?? [])];
    let changed = names.size !== charts.size || [...names].some((name) => !charts.has(name));
    for (const [run, rows] of runs.entries()) {
      if (keys.some((key) => rows.steps.length && !rows.columns.has(key))) rows.forget();
      const asked = [...new Set([...rows.columns.keys(), ...keys])];
      const before = `${rows.generation} ${rows.steps.length} ${rows.evaluations.length} ${rows.columns.size}`;
      let more = true;
      while (more) {
        const answer = await get("metrics", { run, keys: asked.join(","), after: rows.steps.length, generation: rows.generation });
        more = rows.take(answer, asked);
      }
      changed ||= before !== `${rows.generation} ${rows.steps.length} ${rows.evaluations.length} ${rows.columns.size}`;
    }
    const finished = state.runs.map((run) => run.finished).join();
    if (!changed && finished === drawnFor) return;
    drawnFor = finished;
    draw();
    const now = new Set(wanted(catalogue()));
    if ([...now].some((name) => !names.has(name))) await update();
  }

  const watcher = new ResizeObserver(() => draw());
  watcher.observe(grid);
  const stop = repeat(update, () => (state.runs.every((run) => run.finished) ? 10000 : 2000));
  return () => {
    stop();
    watcher.disconnect();
  };
}

function many(entry) {
  return entry !== undefined && entry.keys.length > 1;
}

// The task's name may hold a slash; mode and figure do not.
function splitFigure(key) {
  const parts = key.split("/");
  return [parts.slice(0, -2).join("/"), parts.at(-2), parts.at(-1)];
}

function nothing(state) {
  return state.runs.some((run) => run.kind === "run") ? "No figures yet: a run writes them after its first iteration."
    : "An evaluation has no curves; its figures stand below.";
}

function flat(tasks) {
  return Object.fromEntries(Object.entries(tasks).flatMap(([task, modes]) => Object.entries(modes).flatMap(([mode, figures]) =>
    Object.entries(figures).filter(([, value]) => typeof value === "number").map(([key, value]) => [`${task}/${mode}/${key}`, value]))));
}

function evaluationTable(label, points) {
  const columns = [...new Set(points.flatMap((point) => Object.keys(point.figures)))].map(splitFigure)
    .filter(([, , figure]) => figure === "success" || figure === "return");
  const known = columns.filter(([task, mode, figure]) => figure === "success" ||
    !columns.some((other) => other[0] === task && other[1] === mode && other[2] === "success"));
  const head = el("tr", {}, el("th", {}, "held-out success, after"), known.map(([task, mode, figure]) =>
    el("th", { class: "number" }, task, el("small", {}, ` ${mode}${figure === "return" ? " return" : ""}`))));
  const rows = points.map((point) => el("tr", {}, el("th", { scope: "row" }, point.stage || "this evaluation"),
    known.map(([task, mode, figure]) => {
      const value = point.figures[`${task}/${mode}/${figure}`];
      return el("td", { class: "number" }, value === undefined ? "–" : figure === "success" ? `${(100 * value).toFixed(0)} %` : short(value));
    })));
  return el("section", { class: "panel scroll" }, el("h2", {}, label), el("table", {}, el("thead", {}, head), el("tbody", {}, rows)));
}
