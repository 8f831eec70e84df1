// The page: chains that are watched, on tiles or on a plane, and an easel.

import { Random } from "./random.js";
import { Chains, coefficients } from "./chains.js";
import { $, about, Engine, inUnits, part } from "./client.js";
import { draw, drawScore } from "./picture.js";
import { Easel } from "./easel.js";
import { Plane } from "./plane.js";

const pictures = about.channels > 0;
// parameters come behind the page's #, such as #seed=7&sampler=paper&raw.
const parameters = new URLSearchParams(location.hash.slice(1));
const state = { engine: null, run: 0, chains: null, paused: false, wake: null, tables: null, samplers: [], easel: null, plane: null };

const best = (p, i) => {
  const row = Array.from(p.subarray(i * about.classes.length, (i + 1) * about.classes.length));
  const k = row.indexOf(Math.max(...row));
  return `${about.classes[k]}, ${(100 * row[k]).toFixed(0)} %`;
};

// curve draws the energies of the first chains over the steps, as their logarithms
// above the least: they fall through several orders of magnitude.
function curve(list, total) {
  const canvas = $("curve"), context = canvas.getContext("2d"), most = 16;
  const fine = self.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  Object.assign(canvas, { width: width * fine, height: height * fine }); // which clears it
  context.scale(fine, fine);
  if (list.length < 2) return;
  const stride = Math.ceil(list.length / 400); // finer is not seen
  const shown = Math.min(most, list[0].length), flat = list.flatMap((e) => e.slice(0, shown)).filter(Number.isFinite);
  const low = flat.reduce((m, v) => Math.min(m, v), Infinity), high = flat.reduce((m, v) => Math.max(m, v), -Infinity);
  const y = (e) => 14 + (height - 28) * (1 - Math.log1p(e - low) / (Math.log1p(high - low) || 1));
  context.lineWidth = 1.2;
  for (let i = 0; i < shown; i++) {
    context.strokeStyle = `hsl(${(i * 360) / shown} 60% 50%)`;
    context.beginPath();
    for (let k = 0; k < list.length; k += stride) context.lineTo((k / Math.max(total - 1, 1)) * width, y(list[k][i]));
    context.stroke();
  }
  context.fillStyle = getComputedStyle(canvas).color;
  context.font = "12px system-ui, sans-serif";
  context.fillText(high.toPrecision(4), 4, 12);
  context.fillText(low.toPrecision(4), 4, height - 3);
}

// Tiles show chains of pictures: x above, and below it what the energy takes x for.
class Tiles {
  constructor(n, what) {
    $("chains").replaceChildren();
    this.list = Array.from({ length: n }, (_, i) => {
      const figure = $("chains").appendChild(document.createElement("div"));
      const button = figure.appendChild(document.createElement("button"));
      button.type = "button";
      button.setAttribute("aria-label", `${what} ${i + 1}: take it to the easel`);
      const add = () => button.appendChild(document.createElement("canvas"));
      const tile = { button, x: add(), d: about.sigma0 > 0 ? add() : null };
      tile.caption = figure.appendChild(document.createElement("p"));
      button.onclick = () => state.chains?.done && state.easel.take(state.chains.x.slice(i * about.length, (i + 1) * about.length));
      return tile;
    });
  }

  show(chains) {
    this.list.forEach((tile, i) => {
      draw(tile.x, chains.x, i * about.length);
      if (tile.d) draw(tile.d, chains.done ? chains.x : chains.denoised, i * about.length);
      if (chains.energy) tile.caption.textContent = `E\u00a0${chains.energy[i].toFixed(1)}`;
    });
  }

  // finish says what the classifier reads, and returns it.
  async finish(chains, engine) {
    const p = await engine.classify(chains.x, chains.n);
    if (!p) return "";
    const read = this.list.map((_, i) => best(p, i));
    this.list.forEach((tile, i) => { tile.caption.textContent = read[i] + (chains.energy ? `, E\u00a0${chains.energy[i].toFixed(1)}` : ""); });
    return `: the classifier reads ${read.join("; ")}`;
  }
}

// Cloud shows chains of points.
class Cloud {
  show(chains) { state.plane.show(chains.x, chains.n, chains.energy); }

  async finish(chains) {
    const { x, n, length } = chains, say = (v) => v.toPrecision(3);
    const mean = (k, of) => { let sum = 0; for (let i = k; i < n * length; i += length) sum += of(inUnits(x[i], k)) / n; return sum; };
    const of = Array.from({ length: Math.min(length, 4) }, (_, k) => {
      const m = mean(k, (v) => v);
      return `${say(m)} ± ${say(Math.sqrt(mean(k, (v) => (v - m) ** 2)))}`;
    });
    return `: mean and standard deviation ${of.join(", ")}`;
  }
}

// watch runs chains to their end, or to the start of others.
async function watch(options, what) {
  const run = ++state.run, { engine } = state;
  state.wake?.();
  const chains = new Chains(engine, new Random(number("seed"), state.tables), sampler(), {
    length: about.length, sigma0: about.sigma0, heat: positive("heat"), ...options,
  });
  state.chains = chains;
  setPaused(false);
  $("pause").disabled = $("one").disabled = false;
  $("said").textContent = "";
  const view = pictures ? new Tiles(chains.n, what) : new Cloud(), began = performance.now();
  let next = 0, busy = 0; // when to show the chains again
  while (!chains.done) {
    if (state.paused) await new Promise((resolve) => { state.wake = resolve; });
    if (run !== state.run) return null;
    const at = performance.now();
    await chains.advance();
    busy += performance.now() - at;
    if (run !== state.run) return null;
    if (performance.now() > next || chains.done || state.paused) {
      const from = performance.now();
      view.show(chains);
      if (chains.energy) curve(chains.energies, chains.steps);
      $("progress").max = chains.steps;
      $("progress").value = chains.step;
      const level = about.sigma0 > 0 ? `noise level ${chains.level.toFixed(2)}, ` : "";
      $("numbers").textContent = `step ${chains.step} of ${chains.steps}, ${level}T = ${chains.temperature.toFixed(2)}, ${(busy / chains.step).toFixed(1)} ms a step`;
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      next = now + Math.max(40, 2 * (now - from)); // a third of the time at most is for showing
    }
    const speed = Number($("speed").value); // steps a second, 0 for all there are
    if (speed > 0) await new Promise((resolve) => setTimeout(resolve, 1000 / speed - (performance.now() - at)));
  }
  state.seconds = (performance.now() - began) / 1000;
  $("numbers").textContent += `, done in ${state.seconds.toFixed(1)} s`;
  $("pause").disabled = $("one").disabled = true;
  const read = await view.finish(chains, engine);
  if (run === state.run) $("said").textContent = `${chains.n} ${what}${chains.n === 1 ? "" : "s"} done${read}.`;
  return chains;
}

function setPaused(paused) {
  state.paused = paused;
  $("pause").setAttribute("aria-pressed", paused);
  $("pause").textContent = paused ? "Go on" : "Pause";
  if (!paused) { state.wake?.(); state.wake = null; }
}

const sampler = () => state.samplers.find((s) => s.name === $("sampler").value);

// number reads a field as a whole number within its bounds, and writes it back.
function number(id) {
  const input = $(id), v = Math.round(Number(input.value));
  return (input.value = Math.min(Number(input.max), Math.max(Number(input.min), Number.isFinite(v) ? v : 1)));
}

function positive(id) {
  const v = Number($(id).value);
  return v >= 0 && Number.isFinite(v) ? v : 1;
}

let judging = false, again = false;
// judge says what the energy and the classifier make of the picture on the easel.
async function judge() {
  if (!state.engine || judging) { again = true; return; }
  judging = true;
  do {
    again = false;
    const { picture } = state.easel, { energy, score } = await state.engine.score(picture, 1);
    const norm = Math.sqrt(score.reduce((sum, v) => sum + v * v, 0));
    const p = picture.some((v) => v > 0) && (await state.engine.classify(picture, 1)); // of an empty easel it knows nothing
    $("verdict").textContent = (energy ? `E ${energy[0].toFixed(2)}, ` : "") + `‖score‖ ${norm.toFixed(1)}` + (p ? `; the classifier says ${best(p, 0)}` : "");
    drawScore($("score"), score);
  } while (again);
  judging = false;
}

function connect() {
  $("settings").onsubmit = (event) => {
    event.preventDefault();
    sample();
  };
  $("pause").onclick = () => setPaused(!state.paused);
  $("one").onclick = () => {
    if (!state.paused) setPaused(true);
    state.wake?.();
    state.wake = null;
  };
  if (pictures) $("fill").onclick = fill;
  // What is drawn has the colours of the page, which readers change.
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    if (state.chains?.energy) curve(state.chains.energies, state.chains.steps);
    state.plane?.redraw();
  });
}

// steps leaves out the denoising jump where the address says raw.
const steps = () => (parameters.has("raw") && sampler().jump ? sampler().rows.length / coefficients - 1 : Infinity);

const sample = (n = number("count")) => watch({ n, steps: steps() }, pictures ? "picture" : "point");

async function fill() {
  const hidden = state.easel.mask();
  if (!hidden) {
    $("verdict").textContent = "nothing is hidden: choose the tool “hide” and paint over a part";
    return null;
  }
  return watch({ n: number("completions"), steps: steps(), given: { picture: state.easel.picture.slice(), hidden } }, "completion");
}

// readTables reads those of the generator of normal numbers.
function readTables(bytes) {
  const view = new DataView(bytes.buffer), tables = { inner: [], scale: [], low: [], high: [], tail: view.getFloat64(0, true) };
  for (let at = 8; at < bytes.length; at += 24) {
    tables.inner.push(view.getUint32(at, true));
    tables.scale.push(view.getFloat32(at + 4, true));
    tables.low.push(view.getFloat64(at + 8, true));
    tables.high.push(view.getFloat64(at + 16, true));
  }
  return tables;
}

async function begin() {
  const began = performance.now();
  state.engine = null;
  const engine = new Engine(), opened = engine.open();
  state.tables = readTables(await part("ziggurat"));
  state.samplers = JSON.parse(new TextDecoder().decode(await part("samplers")));
  for (const s of state.samplers) $("sampler").add(new Option(s.about, s.name));
  for (const id of ["sampler", "seed", "count", "completions", "heat", "speed"]) {
    if (parameters.has(id)) $(id).value = parameters.get(id);
  }
  if (pictures) state.easel = new Easel($("easel"), judge);
  else state.plane = new Plane($("plane"), engine);
  connect();
  const { threads, webgpu } = await opened;
  state.engine = engine;
  const on = webgpu ? "on the GPU" : `on ${threads} thread${threads === 1 ? "" : "s"}`;
  $("status").textContent = `Ready after ${((performance.now() - began) / 1000).toFixed(1)} s, ${on}; everything runs in this browser, and nothing is sent anywhere.`;
  document.body.dataset.ready = "yes";
  if (pictures) $("fill").disabled = false;
  // One picture is there at once; the form asks for as many as one likes.
  await (about.hidden ? fill() : sample(pictures && !parameters.has("count") ? 1 : number("count")));
  if (pictures) await judge();
  document.body.dataset.sampled = "yes";
}

// For tests, and for the console.
self.ebm = { state, about };

begin().catch((error) => {
  $("status").textContent = `This browser cannot run the page: ${error.message}`;
  document.body.dataset.failed = error.message;
  throw error;
});
