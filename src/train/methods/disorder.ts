// Gradient disorder: how often the sign of a scale's gradient changes over a window of steps, and which scales that
// freezes. Pure: typed arrays in, typed arrays out; it moves no scale and knows no optimizer.

import { QdgError } from "../../base/error.js";
import type { StateReader, StateWriter } from "./method-state.js";
import type { ThresholdMode } from "./method-options.js";

/**
 * `delta_i = #{t : sign(g_t) != sign(g_{t+1})} / (K - 1)` over the K steps of a window; from 0 (one direction) to
 * 1 (each step against the one before); a coin gives 0.5 with standard deviation `0.5 / sqrt(K - 1)`.
 * A gradient of exactly 0 keeps the sign before it, and has none before the first that is not 0: it speaks
 * neither for nor against the direction. Pairs do not reach across windows.
 */
export class DisorderRecorder {
  readonly window: number;
  /** -1, 1, or 0 before the first gradient of the window that is not 0. */
  readonly #signs: Float32Array;
  readonly #changes: Float32Array;
  #recorded = 0;

  /** @param count scales; @param window K, at least 2 */
  constructor(count: number, window: number) {
    if (!Number.isSafeInteger(window) || window < 2) {
      throw new QdgError(
        "internal",
        "DisorderRecorder",
        `got a window of ${window} steps, expected 2 or more`,
      );
    }
    this.window = window;
    this.#signs = new Float32Array(count);
    this.#changes = new Float32Array(count);
  }

  /** Steps recorded of the present window, 0 to K. */
  get recorded(): number {
    return this.#recorded;
  }

  /** @returns whether the window is full with this step. A full window must be taken before the next. */
  record(gradients: Float32Array): boolean {
    if (gradients.length !== this.#signs.length || this.#recorded === this.window) {
      throw new QdgError(
        "internal",
        "DisorderRecorder",
        "got gradients of another length, or a step too many",
      );
    }
    for (let i = 0; i < gradients.length; i++) {
      const sign = Math.sign(gradients[i] as number);
      if (sign === 0) continue;
      if ((this.#signs[i] as number) * sign < 0) this.#changes[i] = (this.#changes[i] as number) + 1;
      this.#signs[i] = sign;
    }
    this.#recorded += 1;
    return this.#recorded === this.window;
  }

  /** The disorder of each scale in the full window, and begins the next one. */
  take(): Disorder {
    const pairs = this.window - 1;
    const disorder = Array.from(this.#changes, (changes) => changes / pairs);
    const seen = Array.from(this.#signs, (sign) => sign !== 0);
    this.#signs.fill(0);
    this.#changes.fill(0);
    this.#recorded = 0;
    return { disorder, seen };
  }

  save(state: StateWriter): void {
    state.array("disorder/signs", this.#signs);
    state.array("disorder/changes", this.#changes);
    state.count("disorder/recorded", this.#recorded);
    state.count("disorder/window", this.window);
  }

  /** @throws QdgError `invalid-data`, also for a window of another length */
  load(state: StateReader): void {
    const recorded = state.count("disorder/recorded");
    const window = state.count("disorder/window");
    if (window !== this.window || recorded >= window) {
      throw new QdgError(
        "invalid-data",
        "the method's state, disorder/window",
        `got step ${recorded} of a window of ${window}, expected one of ${this.window}; resume with the same window`,
      );
    }
    this.#signs.set(state.array("disorder/signs", this.#signs.length, -1));
    this.#changes.set(state.array("disorder/changes", this.#changes.length, 0));
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
}

/**
 * Which scales to freeze for the next window: those of a group whose mean disorder, over its scales that were seen,
 * is strictly below the threshold (method-options.ts, `threshold`). A scale that was not seen is never frozen.
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
  return Uint8Array.from(groups, (group, i) => {
    const mean = means.get(group);
    return found.seen[i] === true && mean !== undefined && mean < limit ? 1 : 0;
  });
}

/** The number below which a disorder freezes. @param disorders of all groups, for `quantile` */
export function thresholdValue(disorders: readonly number[], rule: FreezingRule): number {
  const { threshold, thresholdMode, window } = rule;
  switch (thresholdMode) {
    case "value":
      return threshold;
    case "margin":
      return 0.5 - (threshold * 0.5) / Math.sqrt(window - 1);
    case "quantile": {
      const sorted = disorders.toSorted((a, b) => a - b);
      // Past the last one, at 1, all are below.
      return sorted[Math.floor(threshold * sorted.length)] ?? Number.POSITIVE_INFINITY;
    }
    default:
      return thresholdMode satisfies never;
  }
}
