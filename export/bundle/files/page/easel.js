// The easel: a picture, which of its pixels are hidden, and tools for both.

import { $, about } from "./client.js";
import { area, columns, draw, place, read, rows } from "./picture.js";

export class Easel {
  // changed is called after each stroke.
  constructor(canvas, changed) {
    Object.assign(this, { canvas, changed, focused: false, cursor: [columns >> 1, rows >> 1] });
    this.picture = Float32Array.from(about.picture ?? new Float32Array(about.length));
    this.hidden = new Uint8Array(area);
    about.hidden?.slice(0, area).forEach((v, at) => { this.hidden[at] = v; });
    this.connect();
    this.draw();
  }

  draw() {
    draw(this.canvas, this.picture, 0, this.hidden);
    if (!this.focused) return;
    const context = this.canvas.getContext("2d");
    context.fillStyle = "rgba(255, 160, 0, 0.8)";
    context.fillRect(...this.cursor, 1, 1);
  }

  // take puts a picture on the easel.
  take(picture) {
    this.picture = picture.map((v) => Math.min(1, Math.max(0, v)));
    this.draw();
    this.changed();
  }

  hide(hides) {
    for (let p = 0; p < rows * columns; p++) this.hidden[place(p)] = hides(p) ? 1 : 0;
    this.draw();
  }

  // mask returns what is hidden for every channel, null where nothing is.
  mask() {
    if (!this.hidden.includes(1)) return null;
    return Float32Array.from({ length: about.length }, (_, i) => this.hidden[i % area]);
  }

  // paint uses the tool around a place in pixels.
  paint(cx, cy) {
    const tool = document.querySelector("input[name=tool]:checked").value;
    const masks = tool === "hide" || tool === "show";
    const radius = Math.max(1, Math.min(rows, columns) / (masks ? 12 : 14));
    const ink = tool === "erase" ? [0, 0, 0] : colour();
    for (let p = 0; p < rows * columns; p++) {
      const near = Math.min(1, radius + 0.75 - Math.hypot((p % columns) + 0.5 - cx, Math.floor(p / columns) + 0.5 - cy)); // soft at its rim
      if (near <= 0) continue;
      if (masks) {
        this.hidden[place(p)] = tool === "hide" ? 1 : 0;
        continue;
      }
      for (let c = 0; c < about.channels; c++) {
        const i = c * area + place(p), far = 1 - near; // a value comes as near to the ink as this
        this.picture[i] = Math.min(ink[c] + far, Math.max(ink[c] - far, this.picture[i]));
      }
    }
    this.draw();
    this.changed();
  }

  connect() {
    const { canvas } = this;
    const pen = (event) => {
      if (!event.buttons && event.type !== "pointerdown") return;
      const box = canvas.getBoundingClientRect();
      this.paint(((event.clientX - box.left) / box.width) * columns, ((event.clientY - box.top) / box.height) * rows);
    };
    canvas.onpointerdown = (event) => { canvas.setPointerCapture(event.pointerId); pen(event); };
    canvas.onpointermove = pen;
    canvas.onfocus = () => { this.focused = canvas.matches(":focus-visible"); this.draw(); };
    canvas.onblur = () => { this.focused = false; this.draw(); };
    canvas.onkeydown = (event) => {
      const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
      if (event.key === " ") {
        this.paint(this.cursor[0] + 0.5, this.cursor[1] + 0.5);
      } else if (moves[event.key]) {
        this.focused = true;
        this.cursor = [columns, rows].map((most, i) => Math.min(most - 1, Math.max(0, this.cursor[i] + moves[event.key][i])));
        this.draw();
      } else return;
      event.preventDefault();
    };
    $("clear").onclick = () => { this.hidden.fill(0); this.take(new Float32Array(about.length)); };
    $("half").onclick = () => this.hide((p) => p >= (rows >> 1) * columns);
    $("file").onchange = async () => {
      const [file] = $("file").files;
      try {
        this.take(await read(file));
      } catch {
        $("verdict").textContent = `${file.name} is no picture that this browser reads`;
      }
    };
  }
}

// colour returns the ink, white where there is no choice.
function colour() {
  const code = $("ink")?.value ?? "#ffffff";
  return [1, 3, 5].map((at) => parseInt(code.slice(at, at + 2), 16) / 255);
}
