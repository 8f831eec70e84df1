// Chains of pictures or points under an energy E with the score s = −∇E. An
// engine has score(x, n) → {energy [n], score of x's length} for n of them in a
// row.

import { purposes } from "./random.js";

// A step of a sampler is a row of nine coefficients, which the Go package mdsm says:
//
//	x ← x + c₀ s + c₁ n + c₂ m + c₃ r n,  m ← c₄ s + c₅ m + c₆ n
//
// with a memory m, r = ‖s‖/√d below which c₇ says that a chain waits, and the noise
// level c₈ of x.
export const coefficients = 9;

// Chains runs n chains of a sampler {mean, sigma, jump, rows}. Chain i draws the
// noise of sample first + i, so a picture is the same beside any others.
export class Chains {
  // heat multiplies all temperatures. given is {picture, hidden} of arrays of one
  // picture's length, hidden 1 where chains move and 0 where the picture stays;
  // or nothing.
  constructor(engine, random, sampler, { n, length, first = 0, steps = Infinity, sigma0 = 0, heat = 1, given = null }) {
    Object.assign(this, { engine, random, sampler, n, length, first, sigma0, heat, given });
    this.steps = Math.min(steps, sampler.rows.length / coefficients);
    this.step = 0;
    this.x = new Float32Array(n * length);
    this.memory = new Float32Array(n * length);
    this.noise = new Float32Array(n * length);
    this.moving = given ? given.hidden.reduce((sum, v) => sum + v, 0) : length; // values of a chain
    this.energies = []; // of each chain, before each step
    this.draw(purposes.start, 0);
    for (let i = 0; i < this.x.length; i++) {
      this.x[i] = this.moves(i) ? sampler.mean + sampler.sigma * this.noise[i] : given.picture[i % length];
    }
  }

  get done() { return this.step >= this.steps; }

  moves(i) { return !this.given || this.given.hidden[i % this.length] === 1; }

  // draw fills in the noise of every chain.
  draw(purpose, step) {
    for (let c = 0; c < this.n; c++) {
      this.random.normal(this.noise.subarray(c * this.length, (c + 1) * this.length), purpose, this.first + c, step);
    }
  }

  // advance makes one step. It sets x, and of x before the step: energy, level,
  // temperature and denoised, x + σ₀²s.
  async advance() {
    const { x, noise, length } = this, hot = Math.sqrt(this.heat), at = this.step * coefficients;
    const row = this.sampler.rows.slice(at, at + coefficients);
    for (const spread of [1, 3, 6, 8]) row[spread] *= hot;
    this.level = row[8];
    this.temperature = this.sigma0 > 0 ? (row[8] / this.sigma0) ** 2 : row[1] ** 2 / (2 * row[0]);
    this.draw(purposes.noise, this.step);
    // Given pixels have the noise that the others have, as in the training.
    const seen = this.given && row[8] > 0 ? x.map((v, i) => (this.moves(i) ? v : v + row[8] * noise[i])) : x;
    const { energy, score } = await this.engine.score(seen, this.n);
    this.denoised = x.map((v, i) => (this.moves(i) ? v + this.sigma0 ** 2 * score[i] : v));
    for (let c = 0; c < this.n; c++) this.move(c * length, (c + 1) * length, row, score);
    this.energy = energy;
    if (energy) this.energies.push(Array.from(energy));
    this.step++;
  }

  // move takes one chain, values from to to, a step on.
  move(from, to, row, s) {
    const { x, noise: n, memory: m } = this;
    let r = 0;
    for (let i = from; i < to; i++) r += this.moves(i) ? s[i] ** 2 : 0;
    r = Math.sqrt(r / this.moving);
    if (r < row[7]) return;
    for (let i = from; i < to; i++) {
      if (this.moves(i)) x[i] += row[0] * s[i] + (row[1] + row[3] * r) * n[i] + row[2] * m[i];
      m[i] = row[4] * s[i] + row[5] * m[i] + row[6] * n[i];
    }
  }
}
