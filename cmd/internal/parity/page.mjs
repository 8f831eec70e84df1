// Opens pages of `ebm export --for page` from their files in the browsers that are
// installed, and uses them as a reader would: they sample and fill in with the
// noise that Go draws, a mask is painted with the pointer, by touch and by keys,
// chains are paused and stepped, nothing is requested and no error is said.
//
//	node page.mjs OUT [BROWSER…]
//
// OUT has the pages and what Go drew, which the Makefile's page-test makes;
// screenshots go there too.

import { existsSync } from "node:fs";
import { resolve, join } from "node:path";
import { strict as assert } from "node:assert";
import { browsers, isolated, readNpy, until, visit } from "./browser.mjs";

const [out, ...asked] = process.argv.slice(2);
const local = /^(file|blob|data):/;
const desk = { width: 900, height: 1400 }, phone = { width: 390, height: 844, hasTouch: true, isMobile: false };
const address = (name, hash = "") => `file://${resolve(out, name)}.html#${hash}`;
const largest = (x, want) => {
  assert.equal(x.length, want.length);
  return x.reduce((worst, v, i) => Math.max(worst, Math.abs(v - want[i])), 0);
};
const chains = "Array.from(self.ebm.state.chains.x)";
const inked = "self.ebm.state.easel.picture.some((v) => v > 0.9)";

async function drag(page, from, to) {
  await page.mouse.move(...from);
  await page.mouse.down();
  await page.mouse.move(...to, { steps: 12 });
  await page.mouse.up();
}

// sampled is the page of float32 weights: its chains are Go's, and its controls
// and its easel work.
async function sampled(browser, name) {
  await visit(browser, address("exact", "sampler=langevin&seed=7&count=2&raw"), local, desk, async (page) => {
    await until(page, "the chains", "document.body.dataset.sampled");
    const off = largest(await page.evaluate(chains), readNpy(join(out, "samples", "samples_float32.npy")));
    assert(off < 1e-3, `after 50 steps x is ${off} off what Go drew`);
    assert.match(await page.evaluate("document.getElementById('said').textContent"), /^2 pictures done: the classifier reads /);
    await page.select("#sampler", "asked"); // of steps with a memory
    await page.click("#start");
    await until(page, "the sampler that was asked for", "self.ebm.state.chains.sampler.name === 'asked' && self.ebm.state.chains.done");
    const few = largest(await page.evaluate(chains), readNpy(join(out, "few", "samples_float32.npy")));
    assert(few < 1e-3, `by few steps x is ${few} off what Go drew`);

    // A stroke, a hidden stripe over it, and its completions by few steps.
    const easel = await page.$("#easel");
    await easel.scrollIntoView();
    const box = await easel.boundingBox();
    const at = (u, v) => [box.x + u * box.width, box.y + v * box.height];
    await drag(page, at(0.5, 0.15), at(0.5, 0.85));
    assert(await page.evaluate(inked), "the pointer painted nothing");
    await page.click("input[name=tool][value=hide]");
    await drag(page, at(0.1, 0.7), at(0.9, 0.7));
    const hidden = await page.evaluate("self.ebm.state.easel.hidden.reduce((n, v) => n + v, 0)");
    assert(hidden > 10, `${hidden} pixels are hidden`);
    await page.evaluate("document.getElementById('completions').value = 2; document.getElementById('sampler').value = 'fast30'");
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
    assert(await page.evaluate(inked), "the space bar painted nothing");
    await until(page, "the verdict", "document.getElementById('verdict').textContent.includes('classifier')");

    // Slow chains are paused, make one step, and go on hotter and to their end.
    await page.evaluate("document.getElementById('heat').value = 2");
    await page.select("#speed", "20");
    await page.click("#start");
    await until(page, "a step", "self.ebm.state.chains.heat === 2 && self.ebm.state.chains.step > 1");
    await page.click("#pause");
    const stood = await page.evaluate("new Promise((done) => setTimeout(() => done(self.ebm.state.chains.step), 300))");
    await page.click("#one");
    await until(page, "one step", `self.ebm.state.chains.step === ${stood + 1}`);
    await page.select("#speed", "0");
    await page.click("#pause");
    await until(page, "the end of the chains", "self.ebm.state.chains.done && document.getElementById('said').textContent");
    await page.click("#chains button");
    assert(await page.evaluate(inked), "a finished picture did not come to the easel");
    await page.screenshot({ path: join(out, `${name}.png`) });
    console.log(`${name}: 50 steps of 2 chains ${off.toExponential(1)} off Go's, by few ones ${few.toExponential(1)}; ${hidden} hidden pixels filled twice`);
  });
}

// given is the page of a picture and a mask, whose fills are those of ebm inpaint.
async function given(browser, name) {
  await visit(browser, address("given", "sampler=langevin&seed=7&completions=2"), local, phone, async (page) => {
    await until(page, "the completions", "document.body.dataset.sampled");
    const inner = await page.evaluate(() => {
      const { about, state } = self.ebm, kept = [];
      state.chains.x.forEach((v, i) => {
        const [row, column] = [Math.floor(i / about.width) % about.height, i % about.width];
        if (Math.min(row, column, about.height - 1 - row, about.width - 1 - column) >= about.pad) kept.push(v);
      });
      return kept;
    });
    const off = largest(inner, readNpy(join(out, "inpaint", "completions.npy")));
    assert(off < 1e-3, `completions are ${off} off what Go drew`);
    const wide = await page.evaluate("document.scrollingElement.scrollWidth");
    assert(wide <= phone.width, `the page is ${wide} pixels wide on a screen of ${phone.width}`);
    for (const look of name === "firefox" ? [] : ["light", "dark"]) {
      await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: look }]);
      await page.screenshot({ path: join(out, `${name}-phone-${look}.png`), fullPage: true });
    }
    if (name !== "firefox") { // whose driver has no touch
      await page.tap("#clear");
      await page.tap("#easel");
      assert(await page.evaluate(inked), "a touch painted nothing");
    }
    const unlabelled = await page.evaluate(() => [...document.querySelectorAll("input, select, button, canvas")]
      .filter((e) => !(e.labels?.length || e.getAttribute("aria-label") || e.closest("[aria-label]") || e.textContent.trim())).map((e) => e.outerHTML));
    assert.deepEqual(unlabelled, [], "controls that say nothing to a screen reader");
    console.log(`${name}: 2 completions of a given picture ${off.toExponential(1)} off those of ebm inpaint`);
  });
}

// points is the page of two clusters on a plane, around (0.25, 0.25) and (0.75, 0.75).
async function points(browser, name) {
  await visit(browser, address("points", "sampler=langevin&count=200"), local, desk, async (page) => {
    await until(page, "the points", "document.body.dataset.sampled");
    const x = await page.evaluate(chains), near = (m) => x.reduce((n, v, i) => n + (i % 2 === 0 && Math.hypot(v - m, x[i + 1] - m) < 0.4), 0);
    const counts = [near(0.25), near(0.75)];
    assert(counts[0] + counts[1] > 180 && Math.min(...counts) > 40, `${counts} of 200 points are near the two clusters`);
    await page.focus("#plane");
    await page.keyboard.press("ArrowRight");
    await until(page, "the energy at a place", "/E .*score/.test(document.getElementById('verdict').textContent)");
    await page.screenshot({ path: join(out, `${name}-points.png`) });
    console.log(`${name}: ${counts.join(" and ")} of 200 points at the two clusters`);
  });
}

// rings is the page of a training on two rings, around 0 with the radii 1 and 2.
async function rings(browser, name) {
  await visit(browser, address("rings"), local, phone, async (page) => {
    await until(page, "the points", "document.body.dataset.sampled");
    const radii = await page.evaluate(() => {
      const { about, state } = self.ebm, { x } = state.chains, at = (i) => x[i] * about.deviation[i % 2] + about.mean[i % 2];
      return Array.from({ length: x.length / 2 }, (_, i) => Math.hypot(at(2 * i), at(2 * i + 1)));
    });
    const near = [1, 2].map((r) => radii.filter((v) => Math.abs(v - r) < 0.3).length);
    assert(near[0] + near[1] > 0.7 * radii.length && Math.min(...near) > 0.15 * radii.length, `${near} of ${radii.length} points are near the two rings`);
    await page.screenshot({ path: join(out, `${name}-rings.png`) });
    console.log(`${name}: ${near.join(" and ")} of ${radii.length} points at the two rings`);
  });
}

// drawn looks at what a page of pictures draws by few steps.
async function drawn(browser, name, url, allowed, what, judge) {
  await visit(browser, url, allowed, desk, async (page) => {
    const began = Date.now();
    await until(page, "the model", "document.body.dataset.ready");
    const ready = (Date.now() - began) / 1000;
    await until(page, "the pictures", "document.body.dataset.sampled");
    const said = await page.evaluate("document.getElementById('said').textContent"), x = await page.evaluate(chains);
    assert(x.every(Number.isFinite), "a picture is not finite");
    judge({ said, x, status: await page.evaluate("document.getElementById('status').textContent") });
    await page.screenshot({ path: join(out, `${name}-${what}.png`) });
    console.log(`${name}: ${what}: ready after ${ready.toFixed(1)} s, drawn in ${(await page.evaluate("self.ebm.state.seconds")).toFixed(1)} s; ${said}`);
  });
}

// sure counts the pictures that the classifier is sure of.
const sure = (said) => [...said.matchAll(/, (\d+) %/g)].filter(([, p]) => p >= 90).length;

await browsers(out, asked, async (browser, name) => {
  await sampled(browser, name);
  await given(browser, name);
  await points(browser, name);
  // Weights of 8 bits, served so that the page may have threads.
  const server = await isolated(resolve(out, "page.html"));
  try {
    await drawn(browser, name, `${server.url}#count=3&sampler=fast70`, /^(http:\/\/127\.0\.0\.1:|blob:|data:)/, "page", ({ said, status }) => {
      assert(sure(said) >= 2, `the classifier is not sure of pictures of 8-bit weights: ${said}`);
      assert.match(status, /on [2-4] threads/);
    });
  } finally {
    server.close();
  }
  if (name === "firefox" && existsSync("/usr/bin/chromium")) return; // the same script, with other models
  await rings(browser, name);
  await drawn(browser, name, address("sevens", "count=3"), local, "sevens", ({ said }) => {
    const sevens = [...said.matchAll(/ 7, /g)].length;
    assert(sevens >= 2, `only ${sevens} of 3 pictures of the composition are sevens: ${said}`);
  });
  await drawn(browser, name, address("fashion", "count=6"), local, "fashion", ({ said }) => assert(sure(said) >= 2, said));
  await drawn(browser, name, address("colour", "count=2&sampler=langevin"), local, "colour", ({ x }) => assert.equal(x.length, 2 * 3 * 8 * 8));
});
