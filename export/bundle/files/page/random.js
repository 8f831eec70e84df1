// Random numbers by counter, the same as the Go package models/rng draws:
// Philox 4x32-10 keyed by the seed, with the counter (block, step, sample,
// purpose and lane), and normal numbers by a ziggurat of 256 layers whose
// tables come with the page.

export const purposes = { start: 4, noise: 5 };

// hi returns the upper 32 bits of a product of unsigned 32-bit numbers.
function hi(a, b) {
  const al = a & 0xffff, ah = a >>> 16, bl = b & 0xffff, bh = b >>> 16;
  const mid = ah * bl + Math.floor((al * bl) / 65536); // below 2^33
  const low = (mid & 0xffff) + al * bh;
  return (ah * bh + Math.floor(mid / 65536) + Math.floor(low / 65536)) >>> 0;
}

// philox applies ten rounds to the counter c, in place.
export function philox(c, k0, k1) {
  for (let i = 0; i < 10; i++) {
    const h0 = hi(c[0], 0xd2511f53), l0 = Math.imul(c[0], 0xd2511f53) >>> 0;
    const h1 = hi(c[2], 0xcd9e8d57), l1 = Math.imul(c[2], 0xcd9e8d57) >>> 0;
    const c1 = c[1], c3 = c[3];
    c[0] = (h1 ^ c1 ^ k0) >>> 0;
    c[1] = l1;
    c[2] = (h0 ^ c3 ^ k1) >>> 0;
    c[3] = l0;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return c;
}

// unit returns a number in (0, 1) of 64 random bits, as a double.
function unit(lo, high) {
  return (Number((BigInt(high) << 32n) | BigInt(lo)) + 0.5) / 2 ** 64;
}

// Random is the source of one seed. A seed is a whole number below 2^53.
export class Random {
  // tables are {inner, scale, low, high, tail}: of each layer the bound of its
  // inner part, X/2^24 and the density at X and at the layer above; r.
  constructor(seed, tables) {
    this.k0 = seed >>> 0;
    this.k1 = Math.floor(seed / 2 ** 32) >>> 0;
    this.tables = tables;
  }

  // normal fills dst with standard normal numbers of a sample at a step.
  normal(dst, purpose, sample, step) {
    const { inner, scale } = this.tables;
    const c2 = sample >>> 0, c3 = (Math.floor(sample / 2 ** 32) | (purpose << 16)) >>> 0;
    const words = [0, 0, 0, 0];
    for (let i = 0; i < dst.length; i++) {
      if (i % 4 === 0) {
        words[0] = i / 4; words[1] = step; words[2] = c2; words[3] = c3;
        philox(words, this.k0, this.k1);
      }
      const w = words[i % 4], v = (w | 0) >> 7 | 1, layer = w & 255;
      dst[i] = Math.abs(v) < inner[layer] ? v * scale[layer] : this.outside(w, i, step, c2, c3);
    }
    return dst;
  }

  // outside finishes a number whose first word fell outside the inner part.
  outside(w, index, step, c2, c3) {
    const { inner, scale, low, high, tail } = this.tables;
    for (let lane = 1; ; lane++) {
      const [a, b, c, d] = philox([index, step, c2, (c3 | (lane << 24)) >>> 0], this.k0, this.k1);
      let v = (w | 0) >> 7 | 1, layer = w & 255;
      if (layer === 0) {
        const x = -Math.log(unit(a, b)) / tail, y = -Math.log(unit(c, d));
        if (2 * y > x * x || lane === 255) return v < 0 ? -(x + tail) : x + tail;
        continue;
      }
      const x = v * scale[layer], height = low[layer] + unit(a, b) * (high[layer] - low[layer]);
      if (Math.log(height) < -0.5 * x * x || lane === 255) return x;
      w = c; // the wedge missed the density: a fresh draw
      v = (w | 0) >> 7 | 1;
      layer = w & 255;
      if (Math.abs(v) < inner[layer]) return v * scale[layer];
    }
  }
}
