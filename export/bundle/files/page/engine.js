// Runs sessions of onnxruntime-web in a worker, so that the page stays awake.
// Messages are {id, call, …}; answers {id, …} or {id, error}.

let ort, energy, classifier, about;

const url = (bytes) => URL.createObjectURL(new Blob([bytes], { type: "text/javascript" }));

async function open({ script, wasm, model, labels, info, threads, webgpu }) {
  ort = await import(url(script));
  about = info;
  ort.env.wasm.wasmBinary = wasm;
  ort.env.wasm.numThreads = threads;
  const providers = webgpu ? ["webgpu", "wasm"] : ["wasm"];
  energy = await ort.InferenceSession.create(model, { executionProviders: providers });
  if (labels) classifier = await ort.InferenceSession.create(labels, { executionProviders: ["wasm"] });
  await score({ x: new Float32Array(info.length), n: 1 }); // the first run lays weights out
  return { threads: ort.env.wasm.numThreads };
}

const pictures = (x, n) => new ort.Tensor("float32", x, [n, ...about.shape]);

async function score({ x, n }) {
  const out = await energy.run({ x: pictures(x, n) });
  return { energy: Float32Array.from(out.energy.data), score: Float32Array.from(out.score.data) };
}

async function classify({ x, n }) {
  const out = await classifier.run({ x: pictures(x, n) });
  return { probabilities: Float32Array.from(out.probabilities.data) };
}

self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ id: data.id, ...(await { open, score, classify }[data.call](data)) });
  } catch (error) {
    self.postMessage({ id: data.id, error: String(error?.message ?? error) });
  }
};
