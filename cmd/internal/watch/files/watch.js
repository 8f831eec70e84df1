// Fills the list of runs, every two seconds. Text from files goes through
// textContent alone.

const $ = (id) => document.getElementById(id);
const number = (v, digits = 4) => (v == null ? "–" : Number(v.toPrecision(digits)).toString());

function left(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return "";
  const h = Math.floor(seconds / 3600), m = Math.floor((seconds % 3600) / 60);
  return h > 0 ? `${h} h ${m} min` : m > 0 ? `${m} min` : `${Math.round(seconds)} s`;
}

function cell(row, content, kind) {
  const td = row.insertCell();
  if (kind) td.className = kind;
  if (content instanceof Node) td.append(content);
  else td.textContent = content;
  return td;
}

function link(text, href) {
  const a = document.createElement("a");
  a.textContent = text;
  a.href = href;
  return a;
}

function bar(value, max, label) {
  const p = document.createElement("progress");
  Object.assign(p, { value, max: Math.max(max, 1) });
  p.setAttribute("aria-label", label);
  return p;
}

const path = (id) => id.split("/").map(encodeURIComponent).join("/");
const seen = new Map(); // of folders of samples: when they were first seen, and how far
const chosen = new Set();

function showRuns(runs) {
  const body = $("runs");
  body.replaceChildren();
  for (const run of runs) {
    const row = body.insertRow(), box = document.createElement("input");
    Object.assign(box, { type: "checkbox", name: "id", value: run.id, checked: chosen.has(run.id) });
    box.setAttribute("aria-label", `compare ${run.id}`);
    box.onchange = () => {
      chosen[box.checked ? "add" : "delete"](run.id);
      document.querySelector("#compare button").disabled = chosen.size === 0;
    };
    cell(row, box);
    cell(row, link(run.id, `/run?id=${encodeURIComponent(run.id)}`));
    if (run.problem) {
      cell(row, run.problem, "soft").colSpan = 8;
      continue;
    }
    cell(row, run.network);
    cell(row, run.data);
    cell(row, bar(run.step, run.steps, `${run.id}: step ${run.step} of ${run.steps}`));
    cell(row, `${run.step} / ${run.steps}`, "number");
    cell(row, number(run.loss), "number");
    cell(row, number(run.steps_per_second, 3), "number");
    cell(row, run.running ? left(run.seconds_left) : run.step >= run.steps ? "done" : "stopped", run.running ? "" : "soft");
    cell(row, run.report ? link("report", `/file/${path(run.id)}/report.html`) : "");
  }
}

function showSamples(list) {
  const body = $("samples");
  body.replaceChildren();
  for (const s of list) {
    const row = body.insertRow();
    if (!seen.has(s.id)) seen.set(s.id, { done: s.done, at: Date.now() });
    const first = seen.get(s.id), rate = (s.done - first.done) / ((Date.now() - first.at) / 1000);
    cell(row, s.id);
    cell(row, bar(s.done, s.count, `${s.id}: ${s.done} of ${s.count} samples`));
    cell(row, s.done, "number");
    cell(row, s.count, "number");
    cell(row, s.whole ? "whole" : rate > 0 ? left((s.count - s.done) / rate) : "", "soft");
  }
}

async function refresh() {
  try {
    const answer = await fetch("/runs.json");
    if (!answer.ok) throw new Error(await answer.text());
    const { runs, samples } = await answer.json();
    showRuns(runs);
    showSamples(samples);
    const going = runs.filter((r) => r.running).length;
    $("state").textContent = `${runs.length} runs, ${going} going on; ${samples.length} folders of samples`;
    document.body.dataset.ready = "yes";
  } catch (error) {
    $("state").textContent = `No answer: ${error.message}`;
  }
  setTimeout(refresh, 2000);
}

refresh();
