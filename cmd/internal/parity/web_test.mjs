// Runs an exported web folder under Node, as its page does in a browser.
//
//     node web_test.mjs FOLDER PICTURES.json
//
// The JSON file has pictures as "x", a flat list, and what they become: "energy"
// and "denoised". FOLDER must have onnxruntime-web in its node_modules. Prints a
// JSON object with the largest relative errors and the version, or throws.

import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [folder, pictures] = process.argv.slice(2);
const at = (...parts) => pathToFileURL(path.resolve(folder, ...parts));
// The page's own build of the library, by the map of imports that it has.
const page = fs.readFileSync(at("index.html"), "utf8");
const library = JSON.parse(/<script type="importmap">(.*?)<\/script>/.exec(page)[1]).imports["onnxruntime-web"];
const ort = await import(at(library));
const { Model, addNoise } = await import(at("ebm.js"));
ort.env.wasm.numThreads = 1;

function require(condition, message) {
  if (!condition) throw new Error(message);
}

const about = JSON.parse(fs.readFileSync(at("model.json"), "utf8"));
const want = JSON.parse(fs.readFileSync(pictures, "utf8"));
const model = await Model.load(ort, fs.readFileSync(at("model.onnx")), about);
const out = await model.denoise(Float32Array.from(want.x));

function error(got, wanted, name) {
  require(got.length === wanted.length, `${name} has ${got.length} numbers, wanted ${wanted.length}`);
  let worst = 0, scale = 0;
  for (let i = 0; i < wanted.length; i++) {
    worst = Math.max(worst, Math.abs(got[i] - wanted[i]));
    scale = Math.max(scale, Math.abs(wanted[i]));
  }
  require(worst / scale < 1e-4, `${name} differs by ${worst / scale} of its largest value`);
  return worst / scale;
}
const errors = { energy: error(out.energy, want.energy, "energy"), denoised: error(out.denoised, want.denoised, "denoised") };

// A picture survives its way to the canvas and back, to half a level.
const first = Float32Array.from(want.x.slice(0, model.length), (v) => Math.min(Math.max(v, 0), 1));
const back = model.fromRGBA(model.toRGBA(first));
require(back.length === model.length && back.every((v, i) => Math.abs(v - first[i]) <= 0.5 / 255 + 1e-6), "pictures change on their way through a canvas");

const noise = addNoise(new Float32Array(10000), 0.5);
const deviation = Math.sqrt(noise.reduce((sum, v) => sum + v * v, 0) / noise.length);
require(Math.abs(deviation - 0.5) < 0.03, `noise of deviation 0.5 has ${deviation}`);

let refused = false;
await model.denoise(new Float32Array(3)).catch((e) => { refused = e instanceof RangeError; });
require(refused, "three numbers were taken for a picture");
console.log(JSON.stringify({ version: ort.env.versions.web ?? ort.env.versions.common, errors }));
