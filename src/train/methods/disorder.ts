// Gradient disorder: how often the sign of a scale's gradient changes over the last steps, and which scales that
// freezes. Pure: typed arrays in, typed arrays out; it moves no scale and knows no optimizer.

import { QdgError } from "../../base/error.js";
import type { StateReader, StateWriter } from "./method-state.js";
import type { FrozenSide, ThresholdMode } from "./method-options.js";

/**
 * `delta_i = #{t : sign(g_t) != sign(g_{t+1})} / (K - 1)` over the K steps of a window; from 0 (one direction) to
 * 1 (each step against the one before); a coin gives 0.5 with standard deviation `0.5 / sqrt(K - 1)`.
 * A gradient of exactly 0 keeps the sign before it, and has none before the first that is not 0: it speaks
 * neither for nor against the direction. Pairs do not reach across windows.
 *
 * With a fading memory there are no windows: each pair counts `1 - 1/K` times as much at every later step, so that about
 * the last K of them tell.
 */
export class DisorderRecorder {
  readonly window: number;
  /** What is left of a pair's weight after a step. */
  readonly decay: number;
  readonly #memory: "window" | "fading";
  /** -1, 1, or 0 before the first gradient of the window that is not 0. */
  readonly #signs: Float32Array;
  readonly #changes: Float32Array;
  /** One number: pairs, each with its weight. */
  readonly #pairs = new Float32Array(1);
  /** Of the window; with a fading memory at most K. */
  #recorded = 0;

  /** @param count scales; @param window K, at least 2 */
  constructor(count: number, window: number, memory: "window" | "fading" = "window") {
    if (!Number.isSafeInteger(window) || window < 2) {
      throw new QdgError(
        "internal",
        "DisorderRecorder",
        `got a window of ${window} steps, expected 2 or more`,
      );
    }
    this.window = window;
    this.decay = memory === "window" ? 1 : 1 - 1 / window;
    this.#memory = memory;
    this.#signs = new Float32Array(count);
    this.#changes = new Float32Array(count);
  }

  /** Steps recorded of the present window, 0 to K. */
  get recorded(): number {
    return this.#recorded;
  }

  /** @returns whether K steps are recorded. A full window must be taken before the next; a fading memory goes on. */
  record(gradients: Float32Array): boolean {
    const isFading = this.#memory === "fading";
    if (gradients.length !== this.#signs.length || (!isFading && this.#recorded === this.window)) {
      throw new QdgError(
        "internal",
        "DisorderRecorder",
        "got gradients of another length, or a step too many",
      );
    }
    for (let i = 0; i < gradients.length; i++) {
      const sign = Math.sign(gradients[i] as number);
      const before = this.decay * (this.#changes[i] as number);
      this.#changes[i] = before + ((this.#signs[i] as number) * sign < 0 ? 1 : 0);
      if (sign !== 0) this.#signs[i] = sign;
    }
    if (this.#recorded > 0) this.#pairs[0] = this.decay * (this.#pairs[0] as number) + 1;
    this.#recorded = Math.min(this.#recorded + 1, this.window);
    return this.#recorded === this.window;
  }

  /** The disorder of each scale by what is recorded; 0 before there is a pair. */
  get(): Disorder {
    const pairs = this.#pairs[0] as number;
    return {
      disorder: Array.from(this.#changes, (changes) => (pairs === 0 ? 0 : changes / pairs)),
      seen: Array.from(this.#signs, (sign) => sign !== 0),
    };
  }

  /** {@link get} of the full window, and begins the next one. */
  take(): Disorder {
    const found = this.get();
    this.#signs.fill(0);
    this.#changes.fill(0);
    this.#pairs.fill(0);
    this.#recorded = 0;
    return found;
  }

  /** Adds what it holds to a state under `name`. */
  save(name: string, state: StateWriter): void {
    state.array(`${name}/signs`, this.#signs);
    state.array(`${name}/changes`, this.#changes);
    state.array(`${name}/pairs`, this.#pairs);
    state.count(`${name}/recorded`, this.#recorded);
    state.count(`${name}/window`, this.window);
  }

  /** @throws QdgError `invalid-data`, also for a window of another length */
  load(name: string, state: StateReader): void {
    const recorded = state.count(`${name}/recorded`);
    const window = state.count(`${name}/window`);
    if (window !== this.window || recorded > window || (this.#memory === "window" && recorded === window)) {
      throw new QdgError(
        "invalid-data",
        `the method's state, ${name}/window`,
        `got step ${recorded} of a window of ${window}, expected one of ${this.window}; resume with the same window`,
      );
    }
    this.#signs.set(state.array(`${name}/signs`, this.#signs.length, -1));
    this.#changes.set(state.array(`${name}/changes`, this.#changes.length, 0));
    this.#pairs.set(state.array(`${name}/pairs`, this.#pairs.length, 0));
    this.#recorded = recorded;
  }
}

export interface Disorder {
  readonly disorder: readonly number[];
  /** Whether any gradient of the window was not 0. Where none was, nothing is known. */
  readonly seen: readonly boolean[];
}

export interface FreezingRule {
  readonly window: number;
  readonly threshold: number;
  readonly thresholdMode: ThresholdMode;
  readonly frozenSide: FrozenSide;
}

/**
 * Which scales to freeze next: those of a group whose mean, over its scales that were seen, is strictly on the side of
 * the threshold that is frozen (method-options.ts, `threshold`). A scale that was not seen is never frozen.
 *
 * @param groups of each scale, an integer from 0: itself, or its layer
 * @returns 1 frozen, 0 not, one a scale
 */
export function freeze(found: Disorder, groups: readonly number[], rule: FreezingRule): Uint8Array {
  const sums = new Map<number, { sum: number; count: number }>();
  groups.forEach((group, i) => {
    if (found.seen[i] !== true) return;
    const { sum, count } = sums.get(group) ?? { sum: 0, count: 0 };
    sums.set(group, { sum: sum + (found.disorder[i] as number), count: count + 1 });
  });
  const means = new Map([...sums].map(([group, { sum, count }]) => [group, sum / count]));
  const limit = thresholdValue([...means.values()], rule);
  const isBeyond = (mean: number): boolean => (rule.frozenSide === "below" ? mean < limit : mean > limit);
  return Uint8Array.from(groups, (group, i) => {
    const mean = means.get(group);
    return found.seen[i] === true && mean !== undefined && isBeyond(mean) ? 1 : 0;
  });
}

/** The number below, or above, which a group is frozen. @param disorders of all groups, for `quantile` */
export function thresholdValue(disorders: readonly number[], rule: FreezingRule): number {
  const { threshold, thresholdMode, window, frozenSide } = rule;
  const sign = frozenSide === "below" ? 1 : -1;
  switch (thresholdMode) {
    case "value":
      return threshold;
    case "margin":
      return 0.5 - (sign * threshold * 0.5) / Math.sqrt(window - 1);
    case "quantile": {
      const sorted = disorders.toSorted((a, b) => sign * (a - b));
      // Past the last one, at 1, all are beyond.
      return sorted[Math.floor(threshold * sorted.length)] ?? sign * Number.POSITIVE_INFINITY;
    }
    default:
      return thresholdMode satisfies never;
  }
}
