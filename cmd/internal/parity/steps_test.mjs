// Runs training steps in onnxruntime-web under Node, as a browser would.
//
//     node steps_test.mjs FOLDER STEPS.json
//
// FOLDER is an exported web folder with onnxruntime-web in its node_modules. The
// JSON file is a list of {name, path, inputs, outputs}, where inputs and outputs have
// {type, dims, data} by name. Prints an object with the largest error of each step,
// relative to the largest value of an output, or throws.

import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [folder, list] = process.argv.slice(2);
const page = fs.readFileSync(path.join(folder, "index.html"), "utf8");
const library = JSON.parse(/<script type="importmap">(.*?)<\/script>/.exec(page)[1]).imports["onnxruntime-web"];
const ort = await import(pathToFileURL(path.resolve(folder, library)));
ort.env.wasm.numThreads = 1;

const array = { float32: Float32Array, int64: BigInt64Array };
const worst = {};
for (const { name, path: file, inputs, outputs } of JSON.parse(fs.readFileSync(list, "utf8"))) {
  const session = await ort.InferenceSession.create(fs.readFileSync(file));
  const feeds = Object.fromEntries(Object.entries(inputs).map(([key, { type, dims, data }]) =>
    [key, new ort.Tensor(type, array[type].from(data, type === "int64" ? BigInt : Number), dims)]));
  const got = await session.run(feeds);
  worst[name] = 0;
  for (const [key, { dims, data }] of Object.entries(outputs)) {
    if (!got[key] || String(got[key].dims) !== String(dims)) throw new Error(`${name}: ${key} has the shape ${got[key]?.dims}, wanted ${dims}`);
    const scale = data.reduce((m, v) => Math.max(m, Math.abs(v)), 0) || 1;
    const error = data.reduce((m, v, i) => Math.max(m, Math.abs(v - Number(got[key].data[i]))), 0) / scale;
    if (!(error < 1e-4)) throw new Error(`${name}: ${key} differs by ${error} of its largest value`);
    worst[name] = Math.max(worst[name], error);
  }
  await session.release();
}
console.log(JSON.stringify(worst));
