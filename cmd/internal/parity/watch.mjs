// Watches a training and a drawing of samples on the page of `ebm watch`, in the
// browsers that are installed: the page shows them while they go on, survives their
// end, lays runs beside each other, and shows hostile names as text.
//
//	node watch.mjs EBM OUT [BROWSER…]
//
// Runs and screenshots go to OUT.

import { spawn } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { strict as assert } from "node:assert";
import { browsers, until, visit } from "./browser.mjs";

const [ebm, out, ...asked] = process.argv.slice(2);
const children = [];

// start runs the program, and returns its process with what it printed.
function start(...args) {
  const child = spawn(resolve(ebm), args, { stdio: ["ignore", "pipe", "pipe"] });
  child.printed = "";
  child.stdout.on("data", (b) => { child.printed += b; });
  child.stderr.on("data", (b) => { child.printed += b; });
  children.push(child);
  return child;
}

async function ended(child, code = 0) {
  if (child.exitCode === null) await once(child, "exit");
  assert.equal(child.exitCode, code, child.printed);
}

async function printed(child, pattern) {
  for (;;) {
    const found = pattern.exec(child.printed);
    if (found) return found[0];
    assert.equal(child.exitCode, null, child.printed);
    await new Promise((done) => setTimeout(done, 50));
  }
}

const hostile = "<img src=x onerror=document.body.dataset.broken=1>";
const cell = (id, column) => `[...document.querySelectorAll("#runs tr")].find((r) => r.dataset.key === ${JSON.stringify(id)})?.cells[${column}].textContent`;
const train = (dir, ...more) => ["train", "--provider", "cpu", "--quiet", "--preset", "demo", "--net", "res6", "--dim", "4", "--batch", "4", "--log-every", "20", "--validate-every", "40", "--out", dir, ...more];

async function watched(browser, name) {
  const dir = join(out, "watched", name);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(join(dir, hostile), { recursive: true });
  writeFileSync(join(dir, hostile, "config.toml"), `preset = "${hostile}"\n`);
  await ended(start(...train(join(dir, "before"), "--steps", "40", "--seed", "2")));
  const server = start("watch", dir), url = await printed(server, /http:\/\/127\.0\.0\.1:\d+\//);
  const own = new RegExp(`^(${url}|data:)`), desk = { width: 1100, height: 700 };

  await visit(browser, url, own, desk, async (page) => {
    await until(page, "the first run", `${cell("before", 8)} === "done"`);
    const training = start(...train(join(dir, "now"), "--steps", "100000"));
    await until(page, "the training", `parseInt(${cell("now", 3)}) >= 40 && ${cell("now", 5)} !== "–"`);
    const early = await page.evaluate(`parseInt(${cell("now", 3)})`);
    await page.focus("a[href='/run?id=now']"); // which stays while the row changes
    await until(page, "more steps", `parseInt(${cell("now", 3)}) > ${early}`);
    assert.equal(await page.evaluate("document.activeElement.textContent"), "now", "the focus was lost");
    assert.match(await page.evaluate("document.getElementById('state').textContent"), /^3 runs, 1 going on/);
    assert.equal(await page.evaluate("document.body.dataset.broken ?? ''"), "", "a name ran as a script");
    assert((await page.evaluate(cell(hostile, 1))).startsWith(hostile), "a hostile name is not shown as it is");
    assert.equal(await page.evaluate(cell(hostile, 3)) + await page.evaluate(cell(hostile, 8)), "cannot be read", "a run without settings that can be read");
    await page.screenshot({ path: join(out, `${name}-watch.png`) });

    // The run beside the other, with its curves growing, until it is ended.
    for (const id of ["before", "now"]) await page.click(`input[value=${id}]`);
    await Promise.all([page.waitForNavigation(), page.click("#compare button")]);
    await until(page, "the comparison", "document.body.dataset.ready && document.querySelectorAll('svg').length > 3");
    const step = "Number(/step (\\d+) of 100000/.exec(document.body.textContent)?.[1])", then = await page.evaluate(step);
    await until(page, "live curves", `${step} > ${then}`);
    const text = await page.evaluate("document.body.innerText");
    for (const want of ["now, held out", "Settings that differ", "seed"]) assert(text.includes(want), `the comparison has no ${want}`);
    await page.screenshot({ path: join(out, `${name}-watch-compared.png`), fullPage: true });
    training.kill("SIGINT");
    await ended(training, 130);

    // Samples in two parts, and their grid on the run's page.
    const count = ["sample", "--provider", "cpu", "--quiet", "--run", join(dir, "before"), "--count", "8", "--steps", "60"];
    await ended(start(...count, "--shard", "1/2", "--out", join(dir, "before", "part1")));
    await page.goto(url);
    await until(page, "the first part", "document.getElementById('samples').textContent.includes('before/part1')");
    await ended(start(...count, "--shard", "2/2", "--out", join(dir, "before", "part2")));
    await until(page, "both parts", "document.getElementById('samples').textContent.includes('together: before/part1, before/part2')");
    const part = "document.getElementById('parts').textContent";
    await until(page, "the parts of a job", `${part}.includes('ebm sample') && ${part}.includes('1 / 2')`);
    const samples = join(dir, "before", "samples");
    await ended(start("merge", "--quiet", join(dir, "before", "part1"), join(dir, "before", "part2"), "--out", samples));
    cpSync(join(samples, "grid.png"), join(dir, "before", "grid.png"));
    await page.goto(`${url}run?id=before`);
    await until(page, "the grids", "document.querySelectorAll('img[src^=data]').length >= 2");
    await page.setViewport({ width: 390, height: 844 });
    const wide = await page.evaluate("document.scrollingElement.scrollWidth");
    assert(wide <= 390, `the page of a run is ${wide} pixels wide on a screen of 390`);
    await page.screenshot({ path: join(out, `${name}-watch-run.png`), fullPage: true });
    await page.goto(url);
    await until(page, "the list", "document.body.dataset.ready");
    const list = await page.evaluate("document.scrollingElement.scrollWidth");
    assert(list <= 390, `the list is ${list} pixels wide on a screen of 390`);
    console.log(`${name}: a training watched from step ${early} to its end, two parts of samples, 2 runs compared`);
  });

  // What other sites may not ask.
  const status = async (headers, method = "GET") => (await fetch(`${url}runs.json`, { method, headers })).status;
  assert.equal(await status({}), 200);
  assert.equal(await status({ Origin: "http://elsewhere.example" }), 403);
  assert.equal(await status({}, "POST"), 405);
  server.kill("SIGINT");
  await ended(server);
}

try {
  await browsers(out, asked, watched);
} finally {
  for (const child of children) if (child.exitCode === null) child.kill("SIGKILL");
}
