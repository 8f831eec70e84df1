// Points of a vector space on a plane: two of their coordinates (a single one
// beside its energy), over the energy where there are just these two.

import { $, about, inUnits } from "./client.js";

const cells = 72; // of the map of the energy, a side

export class Plane {
  constructor(canvas, engine) {
    Object.assign(this, { canvas, engine, points: null, probe: null, view: null, map: null, busy: false });
    for (const [k, id] of ["axis-x", "axis-y"].entries()) {
      if (!$(id)) continue;
      Object.assign($(id), { max: about.length, value: k + 1 });
      $(id).onchange = () => { this.view = null; this.redraw(); };
    }
    canvas.onpointerdown = (event) => {
      const box = canvas.getBoundingClientRect();
      this.ask([(event.clientX - box.left) / box.width, 1 - (event.clientY - box.top) / box.height]);
    };
    canvas.onkeydown = (event) => {
      const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!moves) return;
      event.preventDefault();
      this.ask((this.at ?? [0.5, 0.5]).map((v, i) => Math.min(1, Math.max(0, v + moves[i] / 40))));
    };
  }

  // axes returns the two coordinates that are shown.
  axes() {
    const axis = (id, otherwise) => Math.min(about.length, Math.max(1, Number($(id)?.value ?? otherwise))) - 1;
    return [axis("axis-x", 1), axis("axis-y", 2)];
  }

  // show draws the points x [n length] with their energies.
  show(x, n, energy) {
    this.points = { x, n, energy };
    this.redraw();
  }

  redraw() {
    if (!this.points) return;
    const { x, n, energy } = this.points, [a, b] = this.axes();
    const places = Array.from({ length: n }, (_, i) => [x[i * about.length + a], about.length === 1 ? energy?.[i] ?? 0 : x[i * about.length + b]]);
    this.fit(places);
    const { canvas } = this, context = canvas.getContext("2d"), ink = getComputedStyle(canvas).color;
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (this.map) context.drawImage(this.map, 0, 0, canvas.width, canvas.height);
    context.fillStyle = ink;
    for (const p of places) {
      const [u, v] = this.pixel(p);
      context.beginPath();
      context.arc(u, v, 2.5, 0, 2 * Math.PI);
      context.fill();
    }
    this.drawScale(context);
    if (this.probe) this.drawProbe(context);
  }

  // fit makes the view hold the points, and not much more.
  fit(places) {
    const range = (k) => {
      const list = places.map((p) => p[k]).filter(Number.isFinite).sort((a, b) => a - b);
      const low = list[Math.floor(list.length * 0.005)] ?? -1, high = list[Math.ceil(list.length * 0.995) - 1] ?? 1;
      return [low, high, high - low || 1];
    };
    const [u, v] = [range(0), range(1)], outside = (now, [low, high, size]) => low < now[0] || high > now[1] || now[1] - now[0] > 2.5 * size;
    if (this.view && !outside(this.view[0], u) && !outside(this.view[1], v)) return;
    this.view = [u, v].map(([low, high, size]) => [low - 0.2 * size, high + 0.2 * size]);
    this.at = null;
    this.probe = null;
    this.chart();
  }

  // chart makes the map of the energy over the view.
  async chart() {
    if (about.length !== 2 || !about.energy) return;
    if (this.busy) { this.again = true; return; }
    this.busy = true;
    do {
      this.again = false;
      const x = new Float32Array(2 * cells * cells), step = (k, i) => this.view[k][0] + ((i + 0.5) / cells) * (this.view[k][1] - this.view[k][0]);
      for (let i = 0; i < cells * cells; i++) x.set([step(0, i % cells), step(1, cells - 1 - Math.floor(i / cells))], 2 * i);
      const { energy } = await this.engine.score(x, cells * cells);
      this.map = contours(energy);
    } while (this.again);
    this.busy = false;
    this.redraw();
  }

  pixel([u, v]) {
    const part = (value, [low, high]) => (value - low) / (high - low);
    return [part(u, this.view[0]) * this.canvas.width, (1 - part(v, this.view[1])) * this.canvas.height];
  }

  drawScale(context) {
    const { width, height } = this.canvas, say = (v) => Number(v.toPrecision(3)).toString();
    context.font = "12px system-ui, sans-serif";
    const [a, b] = this.axes(), up = (v) => (about.length === 1 ? v : inUnits(v, b)); // of one coordinate, the energy is upwards
    const [left, right] = this.view[0].map((v) => inUnits(v, a)), [low, high] = this.view[1].map(up);
    context.fillText(say(left), 4, height - 6);
    context.fillText(say(right), width - 44, height - 6);
    context.fillText(say(low), 4, height - 22);
    context.fillText(say(high), 4, 14);
  }

  // ask finds the energy and score at a place of the view, from 0 to 1.
  async ask(at) {
    if (about.length !== 2 || !this.view) return;
    this.at = at;
    const point = at.map((v, k) => this.view[k][0] + v * (this.view[k][1] - this.view[k][0]));
    const { energy, score } = await this.engine.score(Float32Array.from(point), 1);
    this.probe = { point, score };
    const say = (list) => Array.from(list, (v) => v.toPrecision(3)).join(", ");
    $("verdict").textContent = `at (${say(point.map(inUnits))})` + (energy ? ` E ${energy[0].toPrecision(5)},` : "") + ` score (${say(score)})`;
    this.redraw();
  }

  drawProbe(context) {
    const { point, score } = this.probe, [u, v] = this.pixel(point), size = Math.hypot(...score) || 1;
    const [du, dv] = [(40 * score[0]) / size, (-40 * score[1]) / size];
    context.strokeStyle = "#e07000";
    context.lineWidth = 3;
    context.beginPath();
    context.arc(u, v, 6, 0, 2 * Math.PI);
    context.moveTo(u, v);
    context.lineTo(u + du, v + dv);
    context.stroke();
  }
}

// contours draws bands of an energy on a canvas of its own, as the logarithm above
// its least.
function contours(energy) {
  const canvas = new OffscreenCanvas(cells, cells), context = canvas.getContext("2d"), image = context.createImageData(cells, cells);
  const finite = energy.filter(Number.isFinite), low = finite.reduce((m, v) => Math.min(m, v), Infinity), high = finite.reduce((m, v) => Math.max(m, v), -Infinity);
  const most = Math.log1p(high - low) || 1, bands = 14;
  energy.forEach((e, i) => {
    const place = Number.isFinite(e) ? Math.floor((bands * Math.log1p(e - low)) / most) / bands : 1;
    image.data.set([60, 120, 200, 170 * (1 - place)], 4 * i);
  });
  context.putImageData(image, 0, 0);
  return canvas;
}
