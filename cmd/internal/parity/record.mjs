// Makes the pictures of a page in Chromium, as PNG with a palette: a moving one of
// chains of few steps, a frame every few of them, where only what changes is written
// again; and a still one of the page when it has filled in half of what was drawn.
//
//	node record.mjs PAGE.html MOVING.png STILL.png OUT
//
// OUT has puppeteer-core.

import { writeFileSync } from "node:fs";
import { deflateSync, inflateSync, crc32 } from "node:zlib";
import { resolve } from "node:path";
import { browsers, until, visit } from "./browser.mjs";

const [file, moving, still, out] = process.argv.slice(2);
const narrow = { width: 420, height: 900 }, desk = { width: 900, height: 1000 }, every = 2; // steps a frame

// pixels decodes a screenshot: 8 bits a channel, RGB or RGBA, not interlaced.
function pixels(png) {
  const width = png.readUInt32BE(16), height = png.readUInt32BE(20), channels = png[25] === 6 ? 4 : 3, parts = [];
  for (let at = 8; at < png.length; at += 12 + png.readUInt32BE(at)) {
    if (png.toString("latin1", at + 4, at + 8) === "IDAT") parts.push(png.subarray(at + 8, at + 8 + png.readUInt32BE(at)));
  }
  const raw = inflateSync(Buffer.concat(parts)), stride = width * channels, data = Buffer.alloc(height * stride);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)];
    for (let i = 0; i < stride; i++) {
      const a = i < channels ? 0 : data[y * stride + i - channels], b = y === 0 ? 0 : data[(y - 1) * stride + i];
      const c = y === 0 || i < channels ? 0 : data[(y - 1) * stride + i - channels], p = a + b - c;
      const nearest = Math.abs(p - a) <= Math.abs(p - b) && Math.abs(p - a) <= Math.abs(p - c) ? a : Math.abs(p - b) <= Math.abs(p - c) ? b : c;
      data[y * stride + i] = raw[y * (stride + 1) + 1 + i] + [0, a, b, (a + b) >> 1, nearest][filter];
    }
  }
  return { width, height, channels, data };
}

// The moving picture's palette: 16 greys, 125 colours, and the last one, which is transparent.
const greys = 16, cube = 5, clear = greys + cube ** 3;
const level = (v, n) => Math.round((v * (n - 1)) / 255);
const fixed = Buffer.from([
  ...Array.from({ length: greys }, (_, i) => Array(3).fill(Math.round((i * 255) / (greys - 1)))).flat(),
  ...Array.from({ length: cube ** 3 }, (_, i) => [Math.floor(i / cube ** 2), Math.floor(i / cube) % cube, i % cube].map((v) => Math.round((v * 255) / (cube - 1)))).flat(),
  0, 0, 0,
]);

function indexed({ width, height, channels, data }) {
  return Buffer.from(Array.from({ length: width * height }, (_, i) => {
    const [r, g, b] = data.subarray(channels * i, channels * i + 3);
    if (Math.max(r, g, b) - Math.min(r, g, b) < 24) return level((r + g + b) / 3, greys);
    return greys + (level(r, cube) * cube + level(g, cube)) * cube + level(b, cube);
  }));
}

// exact returns the 256 commonest colours of a picture, and it in the nearest of these.
function exact({ width, height, channels, data }) {
  const seen = new Map(), keys = Array.from({ length: width * height }, (_, i) => data.readUIntBE(channels * i, 3));
  for (const key of keys) seen.set(key, (seen.get(key) ?? 0) + 1);
  const common = [...seen.keys()].sort((a, b) => seen.get(b) - seen.get(a)).slice(0, 256), places = new Map(common.map((key, k) => [key, k]));
  const parts = (key) => [key >> 16, (key >> 8) & 255, key & 255];
  const far = (a, b) => parts(a).reduce((sum, v, c) => sum + (v - parts(b)[c]) ** 2, 0);
  for (const key of seen.keys()) {
    if (!places.has(key)) places.set(key, common.reduce((best, other, k) => (far(key, other) < far(key, common[best]) ? k : best), 0));
  }
  return { palette: Buffer.from(common.flatMap(parts)), frame: Buffer.from(keys.map((key) => places.get(key))) };
}

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]), whole = Buffer.alloc(body.length + 8);
  whole.writeUInt32BE(data.length, 0);
  body.copy(whole, 4);
  whole.writeUInt32BE(crc32(body), body.length + 4);
  return whole;
}

const words = (...list) => Buffer.concat(list.map((v) => { const b = Buffer.alloc(4); b.writeUInt32BE(v); return b; }));

// animation returns the PNG of frames; clear is the transparent colour, if there is one.
function animation({ frames, width, height, palette, clear }) {
  const parts = [Buffer.from("\x89PNG\r\n\x1a\n", "latin1")];
  parts.push(chunk("IHDR", Buffer.concat([words(width, height), Buffer.from([8, 3, 0, 0, 0])])));
  parts.push(chunk("PLTE", palette));
  if (clear) parts.push(chunk("tRNS", Buffer.from([...Array(clear).fill(255), 0])));
  parts.push(chunk("acTL", words(frames.length, 0)));
  let number = 0;
  frames.forEach((frame, k) => {
    const last = k === frames.length - 1, rows = [], delay = Buffer.alloc(6); // in hundredths; disposed by none, blended over
    delay.writeUInt16BE(last ? 300 : k === 0 ? 60 : 16, 0);
    delay.writeUInt16BE(100, 2);
    delay[5] = k === 0 ? 0 : 1;
    parts.push(chunk("fcTL", Buffer.concat([words(number++, width, height, 0, 0), delay])));
    for (let y = 0; y < height; y++) {
      const row = Buffer.from(frame.subarray(y * width, (y + 1) * width));
      if (k > 0) row.forEach((v, x) => { if (v === frames[k - 1][y * width + x]) row[x] = clear; });
      rows.push(Buffer.from([0]), row);
    }
    const data = deflateSync(Buffer.concat(rows), { level: 9, memLevel: 9 });
    parts.push(k === 0 ? chunk("IDAT", data) : chunk("fdAT", Buffer.concat([words(number++), data])));
  });
  parts.push(chunk("IEND", Buffer.alloc(0)));
  return Buffer.concat(parts);
}

// record steps through the chains of a page, and returns a frame every few steps.
async function record(page) {
  await until(page, "the chains", "self.ebm.state.chains");
  await page.evaluate("document.getElementById('pause').click()");
  const frames = [];
  let shape;
  for (let done = false; !done;) {
    for (let k = 0; k < every && !done; k++) {
      const step = await page.evaluate("self.ebm.state.chains.step");
      await until(page, "a step", `document.getElementById('one').click(), self.ebm.state.chains.step > ${step} || self.ebm.state.chains.done`);
      done = await page.evaluate("self.ebm.state.chains.done");
    }
    if (done) await until(page, "the classifier", "document.getElementById('said').textContent");
    const tiles = await (await page.$("#chains")).boundingBox(), curve = await (await page.$(".curve canvas")).boundingBox();
    const clip = { x: tiles.x - 6, y: tiles.y - 6, width: tiles.width + 12, height: curve.y + curve.height - tiles.y + 12 };
    const shot = pixels(Buffer.from(await page.screenshot({ clip })));
    shape ??= shot; // the captions' lines may grow: frames have the first one's size
    const all = indexed(shot), frame = Buffer.alloc(shape.width * shape.height, level(253, greys));
    for (let y = 0; y < Math.min(shape.height, shot.height); y++) all.copy(frame, y * shape.width, y * shot.width, y * shot.width + Math.min(shape.width, shot.width));
    frames.push(frame);
  }
  return { frames, width: shape.width, height: shape.height, palette: fixed, clear };
}

// fill takes the first picture to the easel, and has its lower half filled in.
async function fill(page) {
  await until(page, "the pictures", "document.body.dataset.sampled");
  await page.evaluate("document.querySelector('#chains button').click(), document.getElementById('half').click(), document.getElementById('fill').click()");
  await until(page, "the completions", "self.ebm.state.chains.given && document.getElementById('said').textContent");
  const shot = pixels(Buffer.from(await page.screenshot({ fullPage: true })));
  const { palette, frame } = exact(shot);
  return { frames: [frame], width: shot.width, height: shot.height, palette };
}

await browsers(out, [], async (browser, name) => {
  if (name !== "chromium") return;
  const make = (hash, size, use, path) => visit(browser, `file://${resolve(file)}#${hash}`, /^(file|blob|data):/, size, async (page) => {
    const made = await use(page), png = animation(made);
    writeFileSync(path, png);
    console.log(`${path}: ${made.width}×${made.height}, frames: ${made.frames.length}, ${png.length} bytes`);
  });
  await make("count=3&seed=3&speed=4", narrow, record, moving);
  await make("count=6&completions=6&seed=3&sampler=fast70", desk, fill, still);
});
