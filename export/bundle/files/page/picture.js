// Pictures on canvases. One is [channels height width] in a row of numbers, 0
// black and 1 white; what is shown of it is the part inside its padding.

import { about } from "./client.js";

export const rows = about.height - 2 * about.pad, columns = about.width - 2 * about.pad;
export const area = about.height * about.width; // of a channel

// place returns where pixel p of the part that is shown is in a channel.
export const place = (p) => (about.pad + Math.floor(p / columns)) * about.width + about.pad + (p % columns);

// paintPixels sets the pixels of a canvas: colour(at, c) of place at in channel
// c = 0, 1, 2 is a number from 0 to 1.
function paintPixels(canvas, colour) {
  if (canvas.width !== columns) canvas.width = columns;
  if (canvas.height !== rows) canvas.height = rows;
  const context = canvas.getContext("2d"), image = context.createImageData(columns, rows);
  for (let p = 0; p < rows * columns; p++) {
    const at = place(p);
    for (let c = 0; c < 3; c++) image.data[4 * p + c] = 255 * colour(at, c);
    image.data[4 * p + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

// draw shows a picture; marked pixels are tinted.
export function draw(canvas, x, offset = 0, marked = null) {
  const value = (at, c) => x[offset + (c % about.channels) * area + at];
  const tint = [0.33, 0.18, 0.45];
  paintPixels(canvas, (at, c) => (marked?.[at] ? tint[c] + 0.25 * value(at, c) : value(at, c)));
}

// drawScore shows the mean of a score over the channels: orange where it asks for
// more, blue where for less.
export function drawScore(canvas, score) {
  const most = score.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-9), more = [1, 0.59, 0.16], less = [0.24, 0.47, 1];
  paintPixels(canvas, (at, c) => {
    let s = 0;
    for (let k = 0; k < about.channels; k++) s += score[k * area + at] / about.channels;
    const strength = Math.sqrt(Math.abs(s) / most);
    return strength * (s > 0 ? more : less)[c] + (1 - strength) * 0.16;
  });
}

// read returns a file's picture, shrunk to the model's.
export async function read(file) {
  const canvas = new OffscreenCanvas(columns, rows), context = canvas.getContext("2d");
  context.drawImage(await createImageBitmap(file), 0, 0, columns, rows);
  const { data } = context.getImageData(0, 0, columns, rows), picture = new Float32Array(about.length);
  for (let p = 0; p < rows * columns; p++) {
    const [r, g, b] = data.subarray(4 * p, 4 * p + 3);
    [...(about.channels === 1 ? [(r + g + b) / 3] : [r, g, b])].forEach((v, c) => { picture[c * area + place(p)] = v / 255; });
  }
  return picture;
}
