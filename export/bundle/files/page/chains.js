// Chains of pictures or points under an energy E with the score s = −∇E. An
// engine has score(x, n) → {energy [n], score of x's length} for n of them in a
// row.

import { purposes } from "./random.js";

// Chains runs n chains of a sampler {mean, sigma, jump, step_sizes, temperatures,
// levels}: x ← x + ε²/2·s + ε√T n. Chain i draws the noise of sample first + i,
// so a picture is the same beside any others.
export class Chains {
  // heat multiplies all temperatures. given is {picture, hidden} of arrays of one
  // picture's length, hidden 1 where chains move and 0 where the picture stays;
  // or nothing.
  constructor(engine, random, sampler, { n, length, first = 0, steps = Infinity, sigma0 = 0, heat = 1, given = null }) {
    Object.assign(this, { engine, random, sampler, n, length, first, sigma0, heat, given });
    this.steps = Math.min(steps, sampler.step_sizes.length);
    this.step = 0;
    this.x = new Float32Array(n * length);
    this.noise = new Float32Array(n * length);
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
    const { x, noise, sampler, heat } = this, k = this.step, variance = this.sigma0 ** 2;
    this.temperature = heat * sampler.temperatures[k];
    this.level = Math.sqrt(heat) * sampler.levels[k];
    this.draw(purposes.noise, k);
    // Given pixels have the noise that the others have, as in the training.
    const seen = this.given && this.level > 0 ? x.map((v, i) => (this.moves(i) ? v : v + this.level * noise[i])) : x;
    const { energy, score } = await this.engine.score(seen, this.n);
    const ahead = sampler.step_sizes[k] ** 2 / 2, spread = sampler.step_sizes[k] * Math.sqrt(this.temperature);
    this.denoised = x.map((v, i) => (this.moves(i) ? v + variance * score[i] : v));
    for (let i = 0; i < x.length; i++) {
      if (this.moves(i)) x[i] += ahead * score[i] + spread * noise[i];
    }
    this.energy = energy;
    if (energy) this.energies.push(Array.from(energy));
    this.step++;
  }
}
