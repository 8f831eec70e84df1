// What the page holds, and the worker that runs the model.

export const $ = (id) => document.getElementById(id);
const text = (id) => $(`part-${id}`)?.textContent ?? "";
export const about = JSON.parse(text("about"));

// inUnits returns value v of coordinate k in the units of the data, which points are
// trained without.
export const inUnits = (v, k) => (about.deviation ? v * about.deviation[k] + about.mean[k] : v);

// part unpacks a part of the page: gzip in base64.
export async function part(id) {
  const coded = text(id);
  if (!coded) return null;
  const bytes = Uint8Array.fromBase64?.(coded) ?? Uint8Array.from(atob(coded), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Engine talks with the worker.
export class Engine {
  constructor() {
    // A classic worker: browsers refuse module workers to pages opened as files.
    this.worker = new Worker(URL.createObjectURL(new Blob([text("engine")], { type: "text/javascript" })));
    this.waiting = new Map();
    this.calls = 0;
    this.worker.onmessage = ({ data }) => {
      const { resolve, reject } = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      data.error ? reject(new Error(data.error)) : resolve(data);
    };
    this.worker.onerror = (event) => {
      this.broken = new Error(event.message || "its worker does not start");
      for (const { reject } of this.waiting.values()) reject(this.broken);
    };
  }

  ask(call, rest) {
    const id = ++this.calls;
    if (this.broken) return Promise.reject(this.broken);
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, call, ...rest });
    });
  }

  // open loads the model.
  async open() {
    const [script, wasm, model] = await Promise.all(["script", "wasm", "model"].map(part));
    // More threads need a page that is isolated, which a file never is.
    const threads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
    const webgpu = about.webgpu && !!(await navigator.gpu?.requestAdapter().catch(() => null));
    const { shape, length, batch, energy } = about;
    return this.ask("open", { script, wasm, model, threads, webgpu, info: { shape, length, batch, energy } });
  }

  score(x, n) { return this.ask("score", { x, n }); }

  // classify returns probabilities, null where there is no classifier, which it loads
  // when it is asked first: the first pictures need not wait for that.
  async classify(x, n) {
    if (!about.classes) return null;
    this.labels ??= part("labels").then((labels) => this.ask("openLabels", { labels }));
    await this.labels;
    return (await this.ask("classify", { x, n })).probabilities;
  }
}
