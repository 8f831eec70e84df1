// What page.mjs and watch.mjs share: browsers that are installed, pages whose
// errors and requests are held against them, a server that isolates a page. It
// needs puppeteer-core in the folder OUT.

import { readFileSync, existsSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { resolve, join } from "node:path";
import { strict as assert } from "node:assert";

const programs = { chromium: ["/usr/bin/chromium", "/usr/bin/google-chrome"], firefox: ["/usr/bin/firefox-esr", "/usr/bin/firefox"] };

// browsers runs use(browser, name) in each browser that is installed; those that
// are asked for by name must be.
export async function browsers(out, asked, use) {
  const { default: puppeteer } = await import(createRequire(join(resolve(out), "x")).resolve("puppeteer-core"));
  let used = 0;
  for (const [name, places] of Object.entries(programs)) {
    const program = places.find(existsSync);
    if (!program) {
      if (asked.includes(name)) throw new Error(`${name} is not at ${places.join(" or ")}`);
      console.log(`${name}: not run, it is not installed`);
      continue;
    }
    const options = name === "firefox" ? { browser: "firefox" } : { args: ["--no-sandbox", "--disable-gpu"] };
    const browser = await puppeteer.launch({ ...options, executablePath: program, headless: true, protocolTimeout: 300000 });
    try {
      await use(browser, name);
    } finally {
      await browser.close();
    }
    used++;
  }
  if (used === 0) throw new Error(`no browser at ${Object.values(programs).flat().join(", ")}`);
}

// visit opens a page, uses it, and sees that it logged no error and asked for
// nothing that allowed does not match.
export async function visit(browser, url, allowed, size, use) {
  const page = await browser.newPage(), errors = [], requests = [];
  page.on("console", (m) => m.type() === "error" && errors.push(m.text()));
  page.on("pageerror", (e) => errors.push(e.message));
  page.on("request", (r) => allowed.test(r.url()) || requests.push(r.url()));
  await page.setViewport(size);
  try {
    await page.goto(url, { waitUntil: "load", timeout: 120000 });
    await use(page);
    assert.deepEqual(errors, [], "errors in the console");
    assert.deepEqual(requests, [], "requests that left the page");
  } finally {
    await page.close();
  }
}

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

// until waits for an expression of the page to be true.
export async function until(page, what, expression, seconds = 240) {
  for (const end = Date.now() + 1000 * seconds; Date.now() < end; await wait(100)) {
    const failed = await page.evaluate("document.body.dataset.failed");
    assert(!failed, `the page failed: ${failed}`);
    if (await page.evaluate(expression)) return;
  }
  assert.fail(`waited ${seconds} s for ${what}`);
}

// readNpy returns the numbers of a float32 array.
export function readNpy(path) {
  const b = readFileSync(path), start = 10 + b.readUInt16LE(8);
  return new Float32Array(b.buffer.slice(b.byteOffset + start, b.byteOffset + b.length));
}

// isolated serves one file at / with the headers that let a page have threads, and
// returns its address and a function that ends it.
export async function isolated(file) {
  const server = createServer((request, response) => {
    response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
    response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(request.url === "/" ? readFileSync(file) : "");
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}
