// Opens a page of `ebm export --for page` from its file in the browsers that
// are installed, and uses it: it samples with the noise that Go draws, a mask is
// painted with the pointer and filled in, the keyboard paints, nothing is
// requested and no error is said.
//
//	node page.mjs PAGE.html REFERENCE.npy OUT [BROWSER…]
//
// REFERENCE.npy has the chains of `ebm sample --count 2 --steps 50 --seed 7
// --raw --crop 0`; screenshots go to OUT. It needs puppeteer-core beside it.

import { readFileSync, existsSync, mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { resolve, join } from "node:path";
import { strict as assert } from "node:assert";

const [file, reference, out, ...asked] = process.argv.slice(2);
const { default: puppeteer } = await import(createRequire(join(resolve(out), "x")).resolve("puppeteer-core"));

const programs = { chromium: ["/usr/bin/chromium", "/usr/bin/google-chrome"], firefox: ["/usr/bin/firefox-esr", "/usr/bin/firefox"] };

// readNpy returns the numbers of a float32 array.
function readNpy(path) {
  const b = readFileSync(path), start = 10 + b.readUInt16LE(8);
  return new Float32Array(b.buffer.slice(b.byteOffset + start, b.byteOffset + b.length));
}

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

// until waits for an expression of the page to be true.
async function until(page, what, expression, seconds = 240) {
  for (const end = Date.now() + 1000 * seconds; Date.now() < end; await wait(200)) {
    const failed = await page.evaluate("document.body.dataset.failed");
    assert(!failed, `the page failed: ${failed}`);
    if (await page.evaluate(expression)) return;
  }
  assert.fail(`waited ${seconds} s for ${what}`);
}

async function drag(page, from, to) {
  await page.mouse.move(...from);
  await page.mouse.down();
  await page.mouse.move(...to, { steps: 12 });
  await page.mouse.up();
}

async function use(name, program) {
  const options = name === "firefox" ? { browser: "firefox" } : { args: ["--no-sandbox", "--disable-gpu"] };
  const browser = await puppeteer.launch({ ...options, executablePath: program, headless: true, protocolTimeout: 300000 });
  try {
    const page = await browser.newPage(), errors = [], requests = [];
    page.on("console", (m) => m.type() === "error" && errors.push(m.text()));
    page.on("pageerror", (e) => errors.push(e.message));
    page.on("request", (r) => /^(file|blob|data):/.test(r.url()) || requests.push(r.url()));
    await page.setViewport({ width: 900, height: 1400 });
    const began = Date.now();
    await page.goto(`file://${resolve(file)}#sampler=paper&steps=50&seed=7&pictures=2&raw`, { waitUntil: "load", timeout: 120000 });
    await until(page, "the model", "document.body.dataset.ready");
    const ready = (Date.now() - began) / 1000;
    await until(page, "the chains", "document.body.dataset.sampled");
    const drawn = (Date.now() - began) / 1000;

    const x = await page.evaluate("Array.from(self.ebm.state.chains.x)"), want = readNpy(reference);
    assert.equal(x.length, want.length);
    const off = Math.max(...x.map((v, i) => Math.abs(v - want[i])));
    assert(off < 1e-3, `after 50 steps x is ${off} off what Go drew`);

    // A stroke, a hidden stripe over it, and its completions.
    const easel = await page.$("#easel");
    await easel.scrollIntoView();
    const box = await easel.boundingBox();
    const at = (u, v) => [box.x + u * box.width, box.y + v * box.height];
    await drag(page, at(0.5, 0.15), at(0.5, 0.85));
    assert(await page.evaluate("self.ebm.easel.picture.some((v) => v > 0.9)"), "the pointer painted nothing");
    await page.click("input[name=tool][value=hide]");
    await drag(page, at(0.1, 0.7), at(0.9, 0.7));
    const hidden = await page.evaluate("self.ebm.easel.hidden.reduce((n, v) => n + v, 0)");
    assert(hidden > 10, `${hidden} pixels are hidden`);
    await page.evaluate("document.getElementById('completions').value = 2");
    await page.click("#fill");
    await until(page, "the completions", "self.ebm.state.chains.given && self.ebm.state.chains.done");
    const filled = await page.evaluate(() => {
      const { chains } = self.ebm.state, { picture, hidden } = chains.given;
      let kept = 0, finite = 0, moved = 0;
      chains.x.forEach((v, i) => {
        const j = i % chains.length;
        finite += Number.isFinite(v);
        if (hidden[j]) moved += Math.abs(v - picture[j]) > 1e-6;
        else kept += v === picture[j];
      });
      return { kept, finite, moved, length: chains.x.length, given: hidden.reduce((n, v) => n + (v ? 0 : 2), 0) };
    });
    assert.equal(filled.finite, filled.length);
    assert.equal(filled.kept, filled.given, "given pixels moved");
    assert(filled.moved > hidden, `only ${filled.moved} hidden pixels moved`);

    // Without a pointer: clear, focus, paint in the middle.
    await page.click("#clear");
    await page.click("input[name=tool][value=ink]");
    await page.focus("#easel");
    for (const key of ["ArrowRight", "ArrowDown", " "]) await page.keyboard.press(key);
    assert(await page.evaluate("self.ebm.easel.picture.some((v) => v > 0.9)"), "the space bar painted nothing");
    await until(page, "the verdict", "document.getElementById('verdict').textContent.includes('E ')");

    await page.screenshot({ path: join(out, `${name}.png`) });
    await page.setViewport({ width: 360, height: 800 });
    const wide = await page.evaluate("document.scrollingElement.scrollWidth");
    assert(wide <= 360, `the page is ${wide} pixels wide on a screen of 360`);
    await page.screenshot({ path: join(out, `${name}-phone.png`) });
    assert.deepEqual(errors, [], "errors in the console");
    assert.deepEqual(requests, [], "requests that left the page");
    console.log(`${name}: ready after ${ready.toFixed(1)} s, 50 steps of 2 chains after ${drawn.toFixed(1)} s, ${off.toExponential(1)} off Go's; ${hidden} hidden pixels filled twice`);
  } finally {
    await browser.close();
  }
}

mkdirSync(out, { recursive: true });
let used = 0;
for (const [name, places] of Object.entries(programs)) {
  const program = places.find(existsSync);
  if (!program) {
    if (asked.includes(name)) throw new Error(`${name} is not at ${places.join(" or ")}`);
    console.log(`${name}: not run, it is not installed`);
    continue;
  }
  await use(name, program);
  used++;
}
if (used === 0) throw new Error(`no browser at ${Object.values(programs).flat().join(", ")}`);
