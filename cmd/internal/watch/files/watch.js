// Fills the list of runs, every two seconds. Text from files goes through
// textContent alone. Rows stay while they change, so that the focus does too.

const $ = (id) => document.getElementById(id);
const number = (v, digits = 4) => (v == null ? "–" : Number(v.toPrecision(digits)).toString());
const path = (id) => id.split("/").map(encodeURIComponent).join("/");

function left(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return "";
  const h = Math.floor(seconds / 3600), m = Math.floor((seconds % 3600) / 60);
  return h > 0 ? `${h} h ${m} min` : m > 0 ? `${m} min` : `${Math.round(seconds)} s`;
}

function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

function make(tag, properties = {}) {
  return Object.assign(document.createElement(tag), properties);
}

// A column fills in a cell: start makes what stays in it, show what changes.
const text = (of, className = "") => ({ start: (td) => { td.className = className; }, show: (td, item) => say(td, of(item)) });
const link = (of, href, note, wrong) => ({
  start: (td) => { td.className = "name"; td.append(make("a"), make("br"), make("small", { className: "soft" })); },
  show: (td, item) => { say(td.firstChild, of(item)); td.firstChild.href = href(item); say(td.lastChild, note(item)); td.lastChild.className = wrong(item) ? "wrong" : "soft"; },
});
const bar = (value, max, label) => ({
  start: (td) => td.append(make("progress")),
  show: (td, item) => {
    td.firstChild.hidden = item.problem != null;
    Object.assign(td.firstChild, { max: Math.max(max(item), 1), value: value(item) });
    td.firstChild.setAttribute("aria-label", label(item));
  },
});

// rows shows a list in a table, a row for each key.
function rows(body, list, key, columns) {
  const had = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  list.forEach((item, i) => {
    let row = had.get(key(item));
    if (!row) {
      row = body.insertRow();
      row.dataset.key = key(item);
      for (const column of columns) column.start(row.insertCell(), item);
    }
    had.delete(key(item));
    if (body.rows[i] !== row) body.insertBefore(row, body.rows[i]);
    columns.forEach((column, k) => column.show(row.cells[k], item));
  });
  for (const row of had.values()) row.remove();
}

const choice = {
  start: (td, run) => {
    const box = td.appendChild(make("input", { type: "checkbox", name: "id", value: run.id }));
    box.setAttribute("aria-label", `compare ${run.id}`);
    box.onchange = () => { document.querySelector("#compare button").disabled = !document.querySelector("#compare :checked"); };
  },
  show: () => {},
};

// curve draws the losses so far, the largest at the top.
const curve = {
  start: (td) => {
    const make = (tag) => document.createElementNS("http://www.w3.org/2000/svg", tag);
    const svg = td.appendChild(make("svg"));
    for (const [name, value] of Object.entries({ viewBox: "0 0 100 20", preserveAspectRatio: "none", role: "img" })) svg.setAttribute(name, value);
    svg.append(make("polyline"));
  },
  show: (td, run) => {
    const low = Math.min(...run.losses), high = Math.max(...run.losses), scale = (v) => (low > 0 ? Math.log(v) - Math.log(low) : v - low);
    const points = run.losses.map((v, i) => `${(100 * i) / Math.max(run.losses.length - 1, 1)},${19 - (18 * scale(v)) / (scale(high) || 1)}`);
    td.firstChild.firstChild.setAttribute("points", points.join(" "));
    td.firstChild.setAttribute("aria-label", run.losses.length ? `loss from ${number(run.losses[0])} to ${number(run.loss)}` : "no loss yet");
  },
};

const report = {
  start: (td) => td.append(make("a")),
  show: (td, item) => { if (item.report) { say(td.firstChild, "report"); td.firstChild.href = `/file/${path(item.id)}/report.html`; } },
};

const runColumns = [
  choice,
  link((run) => run.id, (run) => `/run?id=${encodeURIComponent(run.id)}`, (run) => run.problem ?? `${run.network} on ${run.data}`, (run) => run.problem),
  bar((run) => run.step, (run) => run.steps, (run) => `${run.id}: step ${run.step} of ${run.steps}`),
  text((run) => (run.steps ? `${run.step} / ${run.steps}` : ""), "number"),
  text((run) => number(run.loss), "number"),
  text((run) => number(run.held_out_loss), "number"),
  curve,
  text((run) => number(run.steps_per_second, 3), "number"),
  text((run) => (run.problem ? "cannot be read" : run.running ? left(run.seconds_left) : run.step >= run.steps ? "done" : "stopped")),
  report,
];

const sweepColumns = [
  text((s) => s.id, "name"),
  bar((s) => s.done, (s) => s.count, (s) => `${s.id}: ${s.done} of ${s.count} runs`),
  text((s) => (s.count ? `${s.done} / ${s.count} runs` : ""), "number"),
  text((s) => s.problem ?? s.best, "name"),
  text((s) => number(s.held_out_loss), "number"),
  report,
];

// Of folders of samples: when they were first seen, and how far they were.
const seen = new Map();

function rate(s) {
  if (!seen.has(s.key)) seen.set(s.key, { done: s.done, at: Date.now() });
  const first = seen.get(s.key);
  return (s.done - first.done) / ((Date.now() - first.at) / 1000);
}

const sampleColumns = [
  { start: () => {}, show: (td, s) => { say(td, s.name); td.className = "name"; } },
  bar((s) => s.done, (s) => s.count, (s) => `${s.name}: ${s.done} of ${s.count} samples`),
  text((s) => String(s.done), "number"),
  text((s) => String(s.count), "number"),
  text((s) => (s.whole ? "whole" : s.done === s.count ? "all drawn" : rate(s) > 0 ? left((s.count - s.done) / rate(s)) : ""), "soft"),
];

const partColumns = [
  {
    start: (td) => { td.className = "name"; td.append(make("span"), make("br"), make("small", { className: "soft" })); },
    show: (td, p) => { say(td.firstChild, p.id); say(td.lastChild, [`ebm ${p.command}`, ...p.open.filter((o) => !o.running).map(stopped)].join("; ")); },
  },
  bar((p) => p.share, () => 1, (p) => `${p.id}: ${p.done} of ${p.total} ${p.unit}`),
  text((p) => (p.total ? `${p.done} / ${p.total} ${p.unit}` : ""), "number"),
  text((p) => (p.parts ? `${p.finished} / ${p.parts}` : ""), "number"),
  text((p) => String(p.running), "number"),
  text((p) => String(p.stopped), "number"),
  text((p) => number(p.units_per_second, 3), "number"),
  text((p) => (p.parts > 0 && p.finished === p.parts ? "done" : left(p.seconds_left)), "soft"),
];

const stopped = (o) => `part ${o.part} on ${o.host}: ${o.problem || `no word since ${new Date(o.last).toLocaleString()}`}`;

const plural = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;

async function refresh() {
  try {
    const answer = await fetch("/runs.json");
    if (!answer.ok) throw new Error(await answer.text());
    const { runs, sweeps, samples, jobs, parts } = await answer.json();
    rows($("runs"), runs, (run) => run.id, runColumns);
    rows($("sweeps"), sweeps, (s) => s.id, sweepColumns);
    $("searches").hidden = sweeps.length === 0;
    const whole = jobs.map((j) => ({ ...j, key: `job ${j.parts[0]}`, name: `together: ${j.parts.join(", ")}` }));
    rows($("samples"), [...whole, ...samples.map((s) => ({ ...s, key: s.id, name: s.id }))], (s) => s.key, sampleColumns);
    rows($("parts"), parts, (p) => p.id, partColumns);
    $("jobs").hidden = parts.length === 0;
    say($("state"), `${plural(runs.length, "run")}, ${runs.filter((r) => r.running).length} going on; ${plural(samples.length, "folder")} of samples`);
    document.body.dataset.ready = "yes";
  } catch (error) {
    say($("state"), `No answer, so this is what was there before: ${error.message}`);
  }
  setTimeout(refresh, 2000);
}

refresh();
