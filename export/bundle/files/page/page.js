// The page: a worker with the model, chains that are watched, an easel.

import { Random } from "./random.js";
import { Chains, plan } from "./chains.js";

const $ = (id) => document.getElementById(id);
const text = (id) => $(`part-${id}`)?.textContent ?? "";
const about = JSON.parse(text("about"));
const inner = about.size - 2 * about.pad; // the part that is shown

// part unpacks a part of the page: gzip in base64.
async function part(id) {
  const coded = text(id);
  if (!coded) return null;
  const bytes = Uint8Array.from(atob(coded), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Engine talks with the worker that runs the model.
class Engine {
  constructor() {
    // A classic worker: browsers refuse module workers to pages opened as files.
    this.worker = new Worker(URL.createObjectURL(new Blob([text("engine")], { type: "text/javascript" })));
    this.waiting = new Map();
    this.calls = 0;
    this.worker.onmessage = ({ data }) => {
      const { resolve, reject } = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      data.error ? reject(new Error(data.error)) : resolve(data);
    };
    this.worker.onerror = (event) => {
      this.broken = new Error(event.message || "its worker does not start");
      for (const { reject } of this.waiting.values()) reject(this.broken);
    };
  }
  ask(call, rest) {
    const id = ++this.calls;
    if (this.broken) return Promise.reject(this.broken);
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, call, ...rest });
    });
  }
  score(x, n) { return this.ask("score", { x, n }); }
  async classify(x, n) { return about.classes ? (await this.ask("classify", { x, n })).probabilities : null; }
}

// draw shows the inner part of a picture on a canvas; marked pixels are tinted.
function draw(canvas, x, offset = 0, marked = null) {
  canvas.width = canvas.height = inner;
  const context = canvas.getContext("2d"), image = context.createImageData(inner, inner);
  for (let p = 0; p < inner * inner; p++) {
    const at = (about.pad + Math.floor(p / inner)) * about.size + about.pad + (p % inner);
    for (let c = 0; c < 3; c++) {
      const v = x[offset + (c % about.channels) * about.size ** 2 + at];
      image.data[4 * p + c] = 255 * (marked?.[at] ? [0.55, 0.3, 0.75][c] * 0.6 + 0.25 * v : v);
    }
    image.data[4 * p + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

const best = (p, i) => {
  const row = Array.from(p.subarray(i * about.classes.length, (i + 1) * about.classes.length));
  const k = row.indexOf(Math.max(...row));
  return `${about.classes[k]}, ${(100 * row[k]).toFixed(0)} %`;
};

// curve draws the energies of all chains over the steps, as their logarithms
// above the least: they fall through several orders of magnitude.
function curve(list, total) {
  const canvas = $("curve"), context = canvas.getContext("2d"), { width, height } = canvas;
  context.clearRect(0, 0, width, height);
  if (list.length < 2) return;
  const flat = list.flat(), low = Math.min(...flat), high = Math.max(...flat);
  const place = (e) => Math.log1p(e - low) / (Math.log1p(high - low) || 1);
  const y = (e) => 14 + (height - 28) * (1 - place(e));
  context.lineWidth = 1.2;
  list[0].forEach((_, i) => {
    context.strokeStyle = `hsl(${(i * 360) / list[0].length} 60% 50%)`;
    context.beginPath();
    list.forEach((e, k) => context.lineTo((k / Math.max(total - 1, 1)) * width, y(e[i])));
    context.stroke();
  });
  context.fillStyle = getComputedStyle(document.body).color;
  context.font = "12px system-ui, sans-serif";
  context.fillText(high.toPrecision(4), 4, 12);
  context.fillText(low.toPrecision(4), 4, height - 3);
}

const state = { engine: null, run: 0, chains: null, paused: false, wake: null, tables: null };

// show puts chains on the page.
function show(chains, tiles) {
  for (let i = 0; i < chains.n; i++) {
    draw(tiles[i].x, chains.x, i * about.length);
    draw(tiles[i].d, chains.done ? chains.x : chains.denoised, i * about.length);
    if (!tiles[i].said) tiles[i].caption.textContent = `E ${chains.energy[i].toFixed(1)}`;
  }
  curve(chains.energies, chains.plan.length);
}

function makeTiles(n, what) {
  $("chains").replaceChildren();
  return Array.from({ length: n }, (_, i) => {
    const figure = $("chains").appendChild(document.createElement("div"));
    const button = figure.appendChild(document.createElement("button"));
    button.type = "button";
    button.setAttribute("aria-label", `${what} ${i + 1}: take it to the easel`);
    const tile = { x: button.appendChild(document.createElement("canvas")), d: button.appendChild(document.createElement("canvas")) };
    tile.caption = figure.appendChild(document.createElement("p"));
    button.onclick = () => state.chains?.done && take(state.chains.x.slice(i * about.length, (i + 1) * about.length));
    return tile;
  });
}

// watch runs chains to their end, or to the start of others.
async function watch(options, what) {
  const run = ++state.run, { engine } = state;
  state.wake?.();
  const chains = new Chains(engine, new Random(options.seed, state.tables), {
    n: options.n, length: about.length, steps: options.steps, sigma0: about.sigma0, sigmaMax: about.sigma_max, given: options.given,
  });
  state.chains = chains;
  setPaused(false);
  $("pause").disabled = $("one").disabled = false;
  const tiles = makeTiles(options.n, what), total = chains.plan.length, began = performance.now();
  let shown = 0, busy = 0;
  while (!chains.done) {
    if (state.paused) await new Promise((resolve) => { state.wake = resolve; });
    if (run !== state.run) return null;
    const at = performance.now();
    await chains.advance();
    busy += performance.now() - at;
    if (run !== state.run) return null;
    if (performance.now() - shown > 40 || chains.done || state.paused) {
      shown = performance.now();
      show(chains, tiles);
      $("progress").max = total;
      $("progress").value = chains.step;
      $("numbers").textContent = `step ${chains.step} of ${total}, noise level ${chains.level.toFixed(2)}` +
        ` (T = ${((chains.level / about.sigma0) ** 2).toFixed(2)}), ${(busy / chains.step).toFixed(1)} ms a step`;
      await new Promise(requestAnimationFrame);
    }
  }
  $("numbers").textContent += `, done in ${((performance.now() - began) / 1000).toFixed(1)} s`;
  $("pause").disabled = $("one").disabled = true;
  const p = await engine.classify(chains.x, chains.n);
  tiles.forEach((tile, i) => {
    const e = chains.energy[i].toFixed(1);
    tile.caption.textContent = p ? `${best(p, i)}, E ${e}` : `E ${e}`;
    tile.said = true;
  });
  return chains;
}

function setPaused(paused) {
  state.paused = paused;
  $("pause").setAttribute("aria-pressed", paused);
  $("pause").textContent = paused ? "Go on" : "Pause";
  if (!paused) { state.wake?.(); state.wake = null; }
}

const number = (id) => {
  const input = $(id), v = Math.round(Number(input.value));
  return (input.value = Math.min(Number(input.max), Math.max(Number(input.min), Number.isFinite(v) ? v : 1)));
};

// The easel: a picture, and which of its pixels are hidden.
const easel = {
  picture: new Float32Array(about.length),
  hidden: new Uint8Array(about.size ** 2),
  cursor: [inner >> 1, inner >> 1],
  focused: false,
};

function drawEasel() {
  draw($("easel"), easel.picture, 0, easel.hidden);
  if (easel.focused) {
    const context = $("easel").getContext("2d");
    context.fillStyle = "rgba(255, 160, 0, 0.8)";
    context.fillRect(...easel.cursor, 1, 1);
  }
}

let judging = false, again = false;
// judge says what the energy and the classifier make of the picture.
async function judge() {
  if (!state.engine || judging) { again = true; return; }
  judging = true;
  do {
    again = false;
    const { energy, score } = await state.engine.score(easel.picture, 1);
    const norm = Math.sqrt(score.reduce((sum, v) => sum + v * v, 0));
    const p = await state.engine.classify(easel.picture, 1);
    $("verdict").textContent = `E ${energy[0].toFixed(2)}, ‖score‖ ${norm.toFixed(1)}` + (p ? `; the classifier says ${best(p, 0)}` : "");
    drawScore(score);
  } while (again);
  judging = false;
}

function drawScore(score) {
  const canvas = $("score"), context = canvas.getContext("2d");
  canvas.width = canvas.height = inner;
  const image = context.createImageData(inner, inner);
  const most = score.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-9);
  for (let p = 0; p < inner * inner; p++) {
    const at = (about.pad + Math.floor(p / inner)) * about.size + about.pad + (p % inner);
    let s = 0;
    for (let c = 0; c < about.channels; c++) s += score[c * about.size ** 2 + at] / about.channels;
    const v = Math.sign(s) * Math.sqrt(Math.abs(s) / most);
    const rgb = v > 0 ? [255, 150, 40] : [60, 120, 255];
    for (let c = 0; c < 3; c++) image.data[4 * p + c] = Math.abs(v) * rgb[c] + (1 - Math.abs(v)) * 40;
    image.data[4 * p + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

// paint uses the tool around a place in pixels of the inner part.
function paint(cx, cy) {
  const tool = document.querySelector("input[name=tool]:checked").value;
  const radius = Math.max(1, inner / (tool === "hide" || tool === "show" ? 12 : 14));
  for (let y = 0; y < inner; y++) {
    for (let x = 0; x < inner; x++) {
      const near = Math.min(1, radius + 0.75 - Math.hypot(x + 0.5 - cx, y + 0.5 - cy)); // soft at its rim
      if (near <= 0) continue;
      const at = (about.pad + y) * about.size + about.pad + x;
      if (tool === "hide" || tool === "show") {
        easel.hidden[at] = tool === "hide" ? 1 : 0;
        continue;
      }
      for (let c = 0; c < about.channels; c++) {
        const i = c * about.size ** 2 + at;
        easel.picture[i] = tool === "ink" ? Math.max(easel.picture[i], near) : Math.min(easel.picture[i], 1 - near);
      }
    }
  }
  drawEasel();
  judge();
}

function take(picture) {
  easel.picture = picture.map((v) => Math.min(1, Math.max(0, v)));
  easel.hidden.fill(0);
  drawEasel();
  judge();
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
  const pen = (event) => {
    if (!event.buttons && event.type !== "pointerdown") return;
    const box = $("easel").getBoundingClientRect();
    paint(((event.clientX - box.left) / box.width) * inner, ((event.clientY - box.top) / box.height) * inner);
  };
  $("easel").onpointerdown = (event) => { $("easel").setPointerCapture(event.pointerId); pen(event); };
  $("easel").onpointermove = pen;
  $("easel").onfocus = () => { easel.focused = $("easel").matches(":focus-visible"); drawEasel(); };
  $("easel").onblur = () => { easel.focused = false; drawEasel(); };
  $("easel").onkeydown = (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === " ") {
      paint(easel.cursor[0] + 0.5, easel.cursor[1] + 0.5);
    } else if (moves[event.key]) {
      easel.focused = true;
      easel.cursor = easel.cursor.map((v, i) => Math.min(inner - 1, Math.max(0, v + moves[event.key][i])));
      drawEasel();
    } else return;
    event.preventDefault();
  };
  $("clear").onclick = () => take(new Float32Array(about.length));
  $("half").onclick = () => {
    easel.hidden.forEach((_, at) => { easel.hidden[at] = at >= (about.size ** 2) / 2 ? 1 : 0; });
    drawEasel();
  };
  $("file").onchange = async () => {
    const canvas = new OffscreenCanvas(inner, inner), context = canvas.getContext("2d");
    try {
      context.drawImage(await createImageBitmap($("file").files[0]), 0, 0, inner, inner);
    } catch {
      $("verdict").textContent = `${$("file").files[0].name} is no picture that this browser reads`;
      return;
    }
    const { data } = context.getImageData(0, 0, inner, inner), picture = new Float32Array(about.length);
    for (let p = 0; p < inner * inner; p++) {
      const at = (about.pad + Math.floor(p / inner)) * about.size + about.pad + (p % inner);
      for (let c = 0; c < about.channels; c++) {
        picture[c * about.size ** 2 + at] = (about.channels === 1 ? (data[4 * p] + data[4 * p + 1] + data[4 * p + 2]) / 3 : data[4 * p + c]) / 255;
      }
    }
    take(picture);
  };
  $("fill").onclick = () => {
    if (!easel.hidden.includes(1)) {
      $("verdict").textContent = "nothing is hidden: choose the tool “hide” and paint over a part";
      return;
    }
    const hidden = new Uint8Array(about.length);
    for (let i = 0; i < hidden.length; i++) hidden[i] = easel.hidden[i % about.size ** 2];
    watch({
      seed: number("seed"), n: number("completions"), given: { picture: easel.picture.slice(), hidden },
      steps: plan($("sampler").value === "paper" ? "paper" : "quick", { steps: parameters.steps, sigmaMax: about.sigma_max, sigma0: about.sigma0 }),
    }, "completion");
  };
}

// parameters come behind the page's #, such as #seed=7&sampler=paper&steps=50&raw.
const given = new URLSearchParams(location.hash.slice(1));
const parameters = { steps: given.has("steps") ? Number(given.get("steps")) : undefined, raw: given.has("raw") };

async function sample() {
  let steps = plan($("sampler").value, { steps: parameters.steps, sigmaMax: about.sigma_max, sigma0: about.sigma0 });
  if (parameters.raw) steps = steps.filter((s) => !s.jump);
  return watch({ seed: number("seed"), n: number("count"), steps }, "picture");
}

async function begin() {
  for (const [id, name] of [["sampler", "sampler"], ["seed", "seed"], ["count", "pictures"]]) {
    if (given.has(name)) $(id).value = given.get(name);
  }
  const numbers = await part("ziggurat"), view = new DataView(numbers.buffer), layers = 256;
  state.tables = { inner: [], scale: [], low: [], high: [], tail: view.getFloat64(0, true) };
  for (let i = 0, at = 8; i < layers; i++, at += 24) {
    state.tables.inner.push(view.getUint32(at, true));
    state.tables.scale.push(view.getFloat32(at + 4, true));
    state.tables.low.push(view.getFloat64(at + 8, true));
    state.tables.high.push(view.getFloat64(at + 16, true));
  }
  drawEasel();
  connect();
  const began = performance.now(), engine = new Engine();
  const [script, wasm, model, labels] = await Promise.all(["script", "wasm", "model", "labels"].map(part));
  // More threads need a page that is isolated, which a file never is.
  const threads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
  await engine.ask("open", { script, wasm, model, labels, threads, webgpu: about.webgpu && "gpu" in navigator, info: { length: about.length, shape: about.shape } });
  state.engine = engine;
  $("fill").disabled = false;
  $("status").textContent = `Ready after ${((performance.now() - began) / 1000).toFixed(1)} s; everything runs in this browser, and nothing is sent anywhere.`;
  document.body.dataset.ready = "yes";
  judge();
  await sample();
  document.body.dataset.sampled = "yes";
}

// For tests, and for the console.
self.ebm = { state, easel, take, about };

begin().catch((error) => {
  $("status").textContent = `This browser cannot run the page: ${error.message}`;
  document.body.dataset.failed = error.message;
  throw error;
});
