// Runs sessions of onnxruntime-web in a worker, so that the page stays awake.
// Messages are {id, call, …}; answers {id, …} or {id, error}.

let ort, energy, classifier, about;

const url = (bytes) => URL.createObjectURL(new Blob([bytes], { type: "text/javascript" }));

async function open({ script, wasm, model, info, threads, webgpu }) {
  ort = await import(url(script));
  about = info;
  ort.env.wasm.wasmBinary = wasm;
  ort.env.wasm.numThreads = threads;
  // On the GPU where that works, which its first run shows.
  const on = webgpu && (await load(model, ["webgpu", "wasm"]).then(() => true, () => false));
  if (!on) await load(model, ["wasm"]);
  return { threads: ort.env.wasm.numThreads, webgpu: on };
}

// load opens the model and runs it once, which lays weights out. Weights of 8 bits are
// unfolded when it is opened, not at each run.
async function load(model, executionProviders) {
  energy = await ort.InferenceSession.create(model, { executionProviders, logSeverityLevel: 3, extra: { session: { disable_quant_qdq: "1" } } });
  await score({ x: new Float32Array(about.length), n: 1 });
}

async function openLabels({ labels }) {
  classifier = await ort.InferenceSession.create(labels, { executionProviders: ["wasm"] });
  return {};
}

const tensor = (x, n) => new ort.Tensor("float32", x, [n, ...about.shape]);

// score runs n rows, in batches where the model takes so many and no others.
async function score({ x, n }) {
  const batch = about.batch || n, length = about.length;
  const all = { energy: about.energy ? new Float32Array(n) : null, score: new Float32Array(n * length) };
  for (let first = 0; first < n; first += batch) {
    const count = Math.min(batch, n - first), rows = new Float32Array(batch * length);
    rows.set(x.subarray(first * length, (first + count) * length));
    const out = await energy.run({ x: tensor(rows, batch) });
    all.score.set(out.score.data.subarray(0, count * length), first * length);
    all.energy?.set(out.energy.data.subarray(0, count), first);
    for (const t of Object.values(out)) t.dispose();
  }
  return all;
}

async function classify({ x, n }) {
  const out = await classifier.run({ x: tensor(x, n) });
  return { probabilities: Float32Array.from(out.probabilities.data) };
}

self.onmessage = async ({ data }) => {
  try {
    self.postMessage({ id: data.id, ...(await { open, openLabels, score, classify }[data.call](data)) });
  } catch (error) {
    self.postMessage({ id: data.id, error: String(error?.message ?? error) });
  }
};
