// Stochastic weight averaging, densely: every step between a start and an end that validation losses decide. Knows no
// weights and computes no loss.

import type { StateReader, StateWriter } from "../methods/method-state.js";
import { RunningMean } from "./running-mean.js";
import type { VectorAverage } from "./vector-average.js";

export interface SwadSettings {
  /** N_s: evaluations that a local minimum takes. */
  readonly start: number;
  /** N_e: evaluations in a row, above the tolerance, that end it. */
  readonly end: number;
  /** r. */
  readonly tolerance: number;
}

/** In a state; losses are none below 0. */
const NO_LIMIT = -1;

/** An evaluation that may be the start, and the steps after it, up to the next one. */
interface Candidate {
  readonly loss: number;
  readonly after: RunningMean;
}

/**
 * Cha et al., NeurIPS 2021, algorithm 1, with the losses E_1, E_2, ... of evaluations in place of those of every step:
 * - start: the first evaluation s with `E_s = min(E_s, ..., E_(s+N_s-1))`; then `l = r mean(E_s, ..., E_(s+N_s-1))`;
 * - end: the last evaluation before N_e in a row with `E > l`; the last step where that never happens;
 * - `theta = mean of theta_t over all steps t after the start, up to the end`.
 *
 * The start is known only N_s - 1 evaluations later, the end N_e, so that what may or may not belong to the average is
 * held apart: at most N_s + 1 vectors. (The paper's sum has the start's own step, too.) Errors are RunningMean's.
 */
export class Swad implements VectorAverage {
  readonly #length: number;
  readonly #settings: SwadSettings;
  /** Steps since the last evaluation. */
  #open: RunningMean;
  /** Before the start: the last evaluations. The steps after the last one are open. */
  #candidates: readonly Candidate[] = [];
  /** l; null before the start. */
  #limit: number | null = null;
  /** From the start to the last evaluation of a loss up to l, and the steps since then. */
  #inside: RunningMean;
  #doubtful: RunningMean;
  /** Evaluations in a row above l. */
  #above = 0;

  constructor(length: number, settings: SwadSettings) {
    this.#length = length;
    this.#settings = settings;
    this.#open = RunningMean.empty(length);
    this.#inside = RunningMean.empty(length);
    this.#doubtful = RunningMean.empty(length);
  }

  get hasBegun(): boolean {
    return this.#limit !== null;
  }

  get hasEnded(): boolean {
    return this.#above >= this.#settings.end;
  }

  get count(): number {
    return this.#average()?.count ?? 0;
  }

  add(x: Float32Array): void {
    if (!this.hasEnded) this.#open.add(x);
  }

  current(): Float32Array | null {
    return this.#average()?.values ?? null;
  }

  #average(): RunningMean | null {
    if (!this.hasBegun) return null;
    // As if the last step were the run's.
    const average = this.#inside.and(this.#doubtful).and(this.#open);
    return average.count === 0 ? null : average;
  }

  /** After an evaluation of this loss: one to go on with in the place of this one, or to forget. @param loss from 0 */
  judged(loss: number): Swad {
    const next = new Swad(this.#length, this.#settings);
    next.#limit = this.#limit;
    next.#inside = this.#inside;
    next.#doubtful = this.#doubtful;
    next.#above = this.#above;
    // A checkpoint holds it so.
    const E = Math.fround(loss);
    if (this.hasBegun) next.#decide(this.#open, E);
    else next.#seekStart(this.#candidates, this.#open, E);
    return next;
  }

  #seekStart(before: readonly Candidate[], open: RunningMean, loss: number): void {
    const last = before.at(-1);
    const candidates = [
      ...before.slice(0, -1),
      ...(last ? [{ loss: last.loss, after: open }] : []),
      { loss, after: RunningMean.empty(this.#length) },
    ];
    const losses = candidates.map((each) => each.loss);
    if (candidates.length < this.#settings.start) {
      this.#candidates = candidates;
    } else if (losses.every((each) => each >= (losses[0] as number))) {
      const mean = losses.reduce((sum, each) => sum + each, 0) / losses.length;
      this.#limit = Math.fround(this.#settings.tolerance * mean);
      for (let i = 1; i < candidates.length; i++) {
        this.#decide((candidates[i - 1] as Candidate).after, losses[i] as number);
      }
    } else {
      this.#candidates = candidates.slice(1);
    }
  }

  /** @param steps those before an evaluation of this loss */
  #decide(steps: RunningMean, loss: number): void {
    if (this.hasEnded) return;
    const doubtful = this.#doubtful.and(steps);
    const isInside = loss <= (this.#limit ?? 0);
    this.#above = isInside ? 0 : this.#above + 1;
    if (isInside) this.#inside = this.#inside.and(doubtful);
    this.#doubtful = isInside || this.hasEnded ? RunningMean.empty(this.#length) : doubtful;
  }

  save(state: StateWriter): void {
    state.count("above", this.#above);
    state.array("limit", Float32Array.of(this.#limit ?? NO_LIMIT));
    state.count("candidates", this.#candidates.length);
    state.array(
      "losses",
      Float32Array.from(this.#candidates, ({ loss }) => loss),
    );
    for (const [name, mean] of this.#means()) {
      state.count(`${name}/count`, mean.count);
      state.array(name, mean.values);
    }
  }

  load(state: StateReader): void {
    const mean = (name: string): RunningMean =>
      new RunningMean(
        Float32Array.from(state.array(name, this.#length, -Infinity)),
        state.count(`${name}/count`),
      );
    this.#above = state.count("above");
    const limit = state.array("limit", 1, NO_LIMIT)[0] as number;
    this.#limit = limit === NO_LIMIT ? null : limit;
    const losses = state.array("losses", state.count("candidates"), 0);
    this.#candidates = Array.from(losses, (loss, i) => ({ loss, after: mean(`after-${i}`) }));
    this.#open = mean("open");
    this.#inside = mean("inside");
    this.#doubtful = mean("doubtful");
  }

  #means(): (readonly [name: string, mean: RunningMean])[] {
    return [
      ["open", this.#open],
      ["inside", this.#inside],
      ["doubtful", this.#doubtful],
      ...this.#candidates.map(({ after }, i) => [`after-${i}`, after] as const),
    ];
  }
}
