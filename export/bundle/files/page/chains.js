// Chains of pictures under an energy E with the score s = −∇E. An engine has
// score(x, n) → {energy [n], score of x's length} for n pictures in a row.

import { purposes } from "./random.js";

// temperatures returns T of every step of the paper's schedule: of 2,700 steps
// 500 at hot, 2,000 falling exponentially to 1 and 200 falling to 0.
export function temperatures(steps, hot = 100) {
  const at = (paper) => Math.round((steps * paper) / 2700);
  const first = at(500), middle = at(2500) - first, last = steps - first - middle;
  const fraction = (k, n) => (n === 1 ? 1 : k / (n - 1));
  const t = [];
  for (let k = 0; k < first; k++) t.push(hot);
  for (let k = 0; k < middle; k++) t.push(hot * Math.exp((-k * Math.log(hot)) / middle));
  for (let k = 0; k < last; k++) t.push(1 - fraction(k, last));
  return t;
}

// geometric returns n numbers from a to b, evenly spaced in their logarithms.
export function geometric(a, b, n) {
  return Array.from({ length: n }, (_, k) => a * (b / a) ** (n === 1 ? 1 : k / (n - 1)));
}

// plan returns the steps of a sampler:
//
//	{ level, next }              ancestral: from noise level σ to the next one
//	{ temperature, stepSize }    Langevin: x ← x + ε²/2·s + ε√T n
//	{ jump: true }               x + σ₀²s
export function plan(sampler, { steps, sigmaMax, sigma0 }) {
  const langevin = (list, stepSize) => list.map((temperature) => ({ temperature, stepSize }));
  const jump = [{ jump: true }];
  switch (sampler) {
    case "few": {
      // A predictor down to the level 3σ₀, then a short annealed chain.
      const levels = geometric(sigmaMax, 3 * sigma0, 41);
      const cooling = geometric(9, 1, 20), last = Array.from({ length: 10 }, (_, k) => 1 - k / 9);
      return [...levels.slice(1).map((next, i) => ({ level: levels[i], next })), ...langevin([...cooling, ...last], sigma0), ...jump];
    }
    case "quick":
      return [...langevin(temperatures(steps ?? 300, (sigmaMax / sigma0) ** 2 / 9), 0.6 * sigma0), ...jump];
    case "paper":
      return [...langevin(temperatures(steps ?? 2700), 0.02), ...jump];
  }
  throw new RangeError(`sampler ${sampler}, want few, quick or paper`);
}

// Chains runs n chains. Chain i draws the noise of sample first + i, so a
// picture is the same beside any others.
export class Chains {
  // given is {picture, hidden} of arrays of one picture's length, hidden 1
  // where chains move and 0 where the picture stays; or nothing.
  constructor(engine, random, { n, length, first = 0, steps, sigma0, sigmaMax = 1, given = null, mean = 0.5, sigma = 1 }) {
    Object.assign(this, { engine, random, n, length, first, plan: steps, sigma0, given });
    const start = steps[0].level ? sigmaMax : sigma;
    this.step = 0;
    this.x = new Float32Array(n * length);
    this.noise = new Float32Array(n * length);
    this.energies = [];
    this.fill(purposes.start, 0);
    for (let i = 0; i < this.x.length; i++) {
      this.x[i] = this.moves(i) ? mean + start * this.noise[i] : given.picture[i % length];
    }
  }

  get done() { return this.step >= this.plan.length; }

  moves(i) { return !this.given || this.given.hidden[i % this.length] === 1; }

  // fill draws the noise of every chain.
  fill(purpose, step) {
    for (let c = 0; c < this.n; c++) {
      this.random.normal(this.noise.subarray(c * this.length, (c + 1) * this.length), purpose, this.first + c, step);
    }
  }

  // advance makes one step. It sets x, energy (before the step) and denoised,
  // x + σ₀²s (before the step).
  async advance() {
    const at = this.plan[this.step], { x, noise, sigma0 } = this, variance = sigma0 * sigma0;
    // The noise level that the pictures have now: σ₀√T at temperature T.
    const level = at.level ?? (at.jump ? 0 : sigma0 * Math.sqrt(at.temperature));
    this.fill(purposes.noise, this.step);
    // Given pixels have the noise that the others have, as in the training.
    const seen = this.given && level > 0 ? x.map((v, i) => (this.moves(i) ? v : v + level * noise[i])) : x;
    const { energy, score } = await this.engine.score(seen, this.n);
    this.denoised = new Float32Array(x.length);
    for (let i = 0; i < x.length; i++) {
      const clean = x[i] + variance * score[i];
      this.denoised[i] = this.moves(i) ? clean : x[i];
      if (!this.moves(i)) continue;
      if (at.jump) {
        x[i] = clean;
      } else if (at.level) {
        const { level: a, next: b } = at;
        const up = (b * Math.sqrt(a * a - b * b)) / a, down = (b * b) / a;
        x[i] = clean + (down / a) * (x[i] - clean) + up * noise[i];
      } else {
        const e = at.stepSize;
        x[i] += ((e * e) / 2) * score[i] + e * Math.sqrt(at.temperature) * noise[i];
      }
    }
    this.energy = energy;
    this.energies.push(Array.from(energy));
    this.level = level;
    this.step++;
  }
}
