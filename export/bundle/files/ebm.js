// An energy-based model in the browser or in Node, through onnxruntime-web.
// Pictures are Float32Arrays [N, channels, size, size] with values around [0, 1].

export class Model {
  // ort is the onnxruntime-web module, onnx the model's URL or bytes, and about
  // the content of model.json.
  static async load(ort, onnx, about) {
    const session = await ort.InferenceSession.create(onnx, { executionProviders: ["wasm"] });
    return new Model(ort, session, about);
  }

  constructor(ort, session, about) {
    Object.assign(this, { ort, session, about });
    this.pixels = about.size * about.size;
    this.length = about.channels * this.pixels; // numbers in one picture
  }

  // denoise returns the energies [N] of pictures, and the pictures after one
  // jump x − σ₀²∇E(x).
  async denoise(x) {
    if (x.length === 0 || x.length % this.length !== 0) {
      throw new RangeError(`${x.length} numbers, wanted a multiple of ${this.length}`);
    }
    const { channels, size } = this.about;
    const shape = [x.length / this.length, channels, size, size];
    const out = await this.session.run({ x: new this.ort.Tensor("float32", x, shape) });
    return { energy: out.energy.data, denoised: out.denoised.data };
  }

  // fromRGBA turns the bytes of a canvas of the model's size into one picture;
  // a model with one channel sees the mean of the colours.
  fromRGBA(rgba) {
    const { channels } = this.about;
    const x = new Float32Array(this.length);
    for (let p = 0; p < this.pixels; p++) {
      const rgb = [rgba[4 * p], rgba[4 * p + 1], rgba[4 * p + 2]];
      for (let c = 0; c < channels; c++) {
        const level = channels === 1 ? (rgb[0] + rgb[1] + rgb[2]) / 3 : rgb[c];
        x[c * this.pixels + p] = level / 255;
      }
    }
    return x;
  }

  // toRGBA turns one picture into the bytes of a canvas.
  toRGBA(x) {
    const { channels } = this.about;
    const rgba = new Uint8ClampedArray(4 * this.pixels);
    for (let p = 0; p < this.pixels; p++) {
      for (let c = 0; c < 3; c++) {
        rgba[4 * p + c] = 255 * x[(c % channels) * this.pixels + p]; // rounded and clamped
      }
      rgba[4 * p + 3] = 255;
    }
    return rgba;
  }
}

// addNoise returns x with normal noise of standard deviation sigma.
export function addNoise(x, sigma, random = Math.random) {
  return x.map((v) => v + sigma * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()));
}
