// Makes the moving picture of a page: chains of few steps in Chromium, a frame every
// few of them, as an animated PNG of a fixed palette, where only what changes is
// written again.
//
//	node record.mjs PAGE.html FILE.png OUT
//
// OUT has puppeteer-core.

import { writeFileSync } from "node:fs";
import { deflateSync, inflateSync, crc32 } from "node:zlib";
import { resolve } from "node:path";
import { browsers, until, visit } from "./browser.mjs";

const [file, picture, out] = process.argv.slice(2);
const size = { width: 420, height: 900 }, every = 3; // steps a frame

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

// The palette: 16 greys, 125 colours, and the last one, which is transparent.
const greys = 16, cube = 5, clear = greys + cube ** 3;
const level = (v, n) => Math.round((v * (n - 1)) / 255);
const palette = Buffer.from([
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

function chunk(type, data) {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]), whole = Buffer.alloc(body.length + 8);
  whole.writeUInt32BE(data.length, 0);
  body.copy(whole, 4);
  whole.writeUInt32BE(crc32(body), body.length + 4);
  return whole;
}

const words = (...list) => Buffer.concat(list.map((v) => { const b = Buffer.alloc(4); b.writeUInt32BE(v); return b; }));

function animation(frames, width, height) {
  const parts = [Buffer.from("\x89PNG\r\n\x1a\n", "latin1")];
  parts.push(chunk("IHDR", Buffer.concat([words(width, height), Buffer.from([8, 3, 0, 0, 0])])));
  parts.push(chunk("PLTE", palette), chunk("tRNS", Buffer.from([...Array(clear).fill(255), 0])), chunk("acTL", words(frames.length, 0)));
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

await browsers(out, [], async (browser, name) => {
  if (name !== "chromium") return;
  await visit(browser, `file://${resolve(file)}#count=3&seed=3`, /^(file|blob|data):/, size, async (page) => {
    await until(page, "the chains", "self.ebm.state.chains");
    await page.evaluate("document.getElementById('pause').click()");
    const frames = [];
    let shape;
    for (let done = false; !done;) {
      for (let k = 0; k < every && !done; k++) {
        const step = await page.evaluate("self.ebm.state.chains.step");
        await until(page, "a step", `document.getElementById('one').click(), self.ebm.state.chains.step > ${step}`);
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
    const png = animation(frames, shape.width, shape.height);
    writeFileSync(picture, png);
    console.log(`${picture}: ${frames.length} frames of ${shape.width}×${shape.height}, ${png.length} bytes`);
  });
});
