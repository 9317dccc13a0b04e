// Every option of every method: its default, its range, its source. Reads nothing else, so that a run can write
// down the value of each one before it begins.

import { QdgError } from "../../base/error.js";
import { MAX_BITS, MIN_BITS } from "../../quant/spec.js";

/** By what a scale's disorder is judged: see {@link MethodSettings.threshold}. */
export const THRESHOLD_MODES = ["value", "margin", "quantile"] as const;
export type ThresholdMode = (typeof THRESHOLD_MODES)[number];

/**
 * What freezing goes by: the disorder of one of the two gradients of a scale, of the task loss at theta (`task`) and of the
 * same loss at the perturbed point (`smoothness`), or how far the two oppose each other: the share of steps at which
 * their signs differ, or `(1 - cosine) / 2`.
 */
export const MEASURES = ["task", "smoothness", "opposition", "cosine"] as const;
export type Measure = (typeof MEASURES)[number];

/** `alternate`: of all scales the smoothness part in one window, the task part in the next. */
export const FROZEN_PARTS = ["none", "task", "smoothness", "both", "alternate"] as const;
export type FrozenPart = (typeof FROZEN_PARTS)[number];

export const FROZEN_SIDES = ["below", "above"] as const;
/** Whether a scale is frozen when what is measured is below the threshold, or above it. */
export type FrozenSide = (typeof FROZEN_SIDES)[number];

export const DECISIONS = ["window", "step"] as const;
/** When freezing is decided: at the end of each window, or at every step by a memory of about as many. */
export type Decision = (typeof DECISIONS)[number];

export const OPPOSING = ["mean", "project"] as const;
/** What becomes of a layer's two gradients where they oppose each other: their mean all the same, or PCGrad. */
export type Opposing = (typeof OPPOSING)[number];

export const GUIDANCE = ["next", "most", "none"] as const;
/** eq-net: who teaches fewer bits, beside the labels: the next more bits of the step, the most, or nobody. */
export type Guidance = (typeof GUIDANCE)[number];

export const GRANULARITIES = ["scale", "layer"] as const;
/** Whether each scale is frozen by its own disorder, or a layer's scales together by their mean. */
export type Granularity = (typeof GRANULARITIES)[number];

/** What {@link methodSettings} makes of options: every one with its value. */
export interface MethodSettings {
  /** Length of the run: what several defaults are a part of. No default. */
  readonly steps: number;
  /** Radius of the perturbation of sam, sagm, lsq-sagm, gaqat; > 0. Default 0.05 (SAM, SAGM). */
  readonly rho: number;
  /** Of sagm, lsq-sagm, gaqat: how far the perturbed point is drawn back down the gradient; >= 0. Default 0.001 (SAGM). */
  readonly alpha: number;
  /** Whether scales and zero points are perturbed with the weights. Default true. */
  readonly perturbScales: boolean;
  /** K: steps over which the gradients of scales are measured, 2 to the run's. Default min(350, a tenth of the run), at least 2. */
  readonly window: number;
  /**
   * r of gaqat: a scale is frozen when what is measured is strictly below
   * - `value`: r, 0 to 1. Default 0.3.
   * - `margin`: `0.5 - r * 0.5 / sqrt(K - 1)`, r standard deviations of a coin tossed K times below its mean;
   *   0 to 100. Default 2.
   * - `quantile`: the r-quantile of all, so that at most that part is frozen; 0 to 1. Default 0.3.
   *
   * With `frozenSide` above: strictly above r, `0.5 + r * 0.5 / sqrt(K - 1)`, or the (1 - r)-quantile.
   */
  readonly threshold: number;
  /** Default `value`. */
  readonly thresholdMode: ThresholdMode;
  /** Which gradient freezing stops. Default `task`. */
  readonly frozenPart: FrozenPart;
  /** Default `below`. */
  readonly frozenSide: FrozenSide;
  /** Default `task`. */
  readonly measure: Measure;
  /** Default `window`. */
  readonly decision: Decision;
  /** Default `mean`. */
  readonly opposing: Opposing;
  /** Default `scale`. */
  readonly granularity: Granularity;
  /**
   * Steps at the start that are taken with the plain gradient, as erm takes them: those in full precision. gaqat's first
   * window begins after them. From 0. Default 0.
   */
  readonly plainSteps: number;
  /** qt-dog: the first step with quantized weights, 0 to the run's. Default two fifths of the run (2000 of 5000). */
  readonly quantizeFrom: number;
  /** sqwa: cycles of the learning rate, each with a low point that is averaged; from 1. Default 5. */
  readonly cycles: number;
  /** sqwa: share of the quantized steps, at their end, that fine-tune the average; 0 <= share < 1. Default 0.2. */
  readonly fineTuning: number;
  /** lambda of gradient-l1; >= 0. Default 1e-4 (ours: docs/training.md). */
  readonly l1Weight: number;
  /** gradient-l1: the first step with the penalty, 0 to the run's. Default half of the run (ours). */
  readonly l1Start: number;
  /** lambda of saf; >= 0. Default 0.3 (SAF). */
  readonly safWeight: number;
  /** E of saf, from 1. Default 1 (SAF has 3, of 200 epochs: saf.ts). */
  readonly safEpochs: number;
  /** tau of saf; > 0. Default 5 (SAF). */
  readonly safTemperature: number;
  /** eq-net: the bits that it trains for, two or more, ascending. Default 2 to 8 (EQ-Net). */
  readonly bitSet: readonly number[];
  /** eq-net. Default `next` (EQ-Net). */
  readonly guidance: Guidance;
  /** Of what a method draws by chance, 0 to 2^32 - 1. Default 0. */
  readonly seed: number;
  /** Of Adam; 0 <= beta < 1. Default 0.9. */
  readonly beta1: number;
  /** Default 0.999. */
  readonly beta2: number;
  /** > 0. Default 1e-8 (DomainBed; tfjs's own Adam has 1e-7). */
  readonly epsilon: number;
  /** L2, in the gradient of weights alone, as DomainBed's Adam; not decoupled. Default 0. */
  readonly weightDecay: number;
  /** Multiplies the learning rate of scales and zero points; > 0. Default 1. */
  readonly scaleRate: number;
  /** The step's gradient is shortened to this global norm where it is longer; null: never. Default null. */
  readonly clipNorm: number | null;
}

/** Absent or undefined: the default. */
export type MethodOptions = Pick<MethodSettings, "steps"> & {
  readonly [K in Exclude<keyof MethodSettings, "steps">]?: MethodSettings[K] | undefined;
};

/** Of eq-net. */
export const DEFAULT_BIT_SET: readonly number[] = [2, 3, 4, 5, 6, 7, 8];

const DEFAULT_THRESHOLD: Readonly<Record<ThresholdMode, number>> = { value: 0.3, margin: 2, quantile: 0.3 };
const HIGHEST_THRESHOLD: Readonly<Record<ThresholdMode, number>> = { value: 1, margin: 100, quantile: 1 };

/**
 * Options with their defaults, checked.
 *
 * @throws QdgError `usage` naming the option that is out of its range
 */
export function methodSettings(options: MethodOptions): MethodSettings {
  const steps = integer("steps", options.steps, 1, Number.MAX_SAFE_INTEGER);
  const thresholdMode = oneOf("thresholdMode", options.thresholdMode ?? "value", THRESHOLD_MODES);
  const window = Math.max(2, Math.min(350, Math.floor(steps / 10)));
  return {
    steps,
    rho: positive("rho", options.rho ?? 0.05),
    alpha: number("alpha", options.alpha ?? 0.001, (x) => x >= 0, "from 0"),
    perturbScales: bool("perturbScales", options.perturbScales ?? true),
    window: options.window === undefined ? window : integer("window", options.window, 2, Math.max(2, steps)),
    threshold: number(
      "threshold",
      options.threshold ?? DEFAULT_THRESHOLD[thresholdMode],
      (x) => x >= 0 && x <= HIGHEST_THRESHOLD[thresholdMode],
      `from 0 to ${HIGHEST_THRESHOLD[thresholdMode]} for thresholdMode "${thresholdMode}"`,
    ),
    thresholdMode,
    frozenPart: oneOf("frozenPart", options.frozenPart ?? "task", FROZEN_PARTS),
    frozenSide: oneOf("frozenSide", options.frozenSide ?? "below", FROZEN_SIDES),
    measure: oneOf("measure", options.measure ?? "task", MEASURES),
    decision: oneOf("decision", options.decision ?? "window", DECISIONS),
    opposing: oneOf("opposing", options.opposing ?? "mean", OPPOSING),
    granularity: oneOf("granularity", options.granularity ?? "scale", GRANULARITIES),
    plainSteps: integer("plainSteps", options.plainSteps ?? 0, 0, Number.MAX_SAFE_INTEGER),
    quantizeFrom: integer("quantizeFrom", options.quantizeFrom ?? Math.floor(steps * 0.4), 0, steps),
    cycles: integer("cycles", options.cycles ?? 5, 1, Number.MAX_SAFE_INTEGER),
    fineTuning: number("fineTuning", options.fineTuning ?? 0.2, (x) => x >= 0 && x < 1, "from 0, below 1"),
    l1Weight: number("l1Weight", options.l1Weight ?? 1e-4, (x) => x >= 0, "from 0"),
    l1Start: integer("l1Start", options.l1Start ?? Math.floor(steps / 2), 0, steps),
    safWeight: number("safWeight", options.safWeight ?? 0.3, (x) => x >= 0, "from 0"),
    safEpochs: integer("safEpochs", options.safEpochs ?? 1, 1, Number.MAX_SAFE_INTEGER),
    safTemperature: positive("safTemperature", options.safTemperature ?? 5),
    bitSet: bitList("bitSet", options.bitSet ?? DEFAULT_BIT_SET),
    guidance: oneOf("guidance", options.guidance ?? "next", GUIDANCE),
    seed: integer("seed", options.seed ?? 0, 0, 2 ** 32 - 1),
    beta1: number("beta1", options.beta1 ?? 0.9, (x) => x >= 0 && x < 1, "from 0, below 1"),
    beta2: number("beta2", options.beta2 ?? 0.999, (x) => x >= 0 && x < 1, "from 0, below 1"),
    epsilon: positive("epsilon", options.epsilon ?? 1e-8),
    weightDecay: number("weightDecay", options.weightDecay ?? 0, (x) => x >= 0, "from 0"),
    scaleRate: positive("scaleRate", options.scaleRate ?? 1),
    clipNorm:
      options.clipNorm === undefined || options.clipNorm === null
        ? null
        : positive("clipNorm", options.clipNorm),
  };
}

function number(name: string, value: unknown, holds: (x: number) => boolean, range: string): number {
  if (typeof value === "number" && Number.isFinite(value) && holds(value)) return value;
  throw new QdgError("usage", name, `got ${String(value)}, expected a finite number ${range}`);
}

function positive(name: string, value: unknown): number {
  return number(name, value, (x) => x > 0, "> 0");
}

function integer(name: string, value: unknown, lowest: number, highest: number): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= lowest && value <= highest)
    return value;
  const upTo = highest === Number.MAX_SAFE_INTEGER ? "" : ` to ${highest}`;
  throw new QdgError("usage", name, `got ${String(value)}, expected an integer from ${lowest}${upTo}`);
}

function bool(name: string, value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw new QdgError("usage", name, `got ${String(value)}, expected true or false`);
}

function bitList(name: string, value: readonly number[]): readonly number[] {
  if (value.length < 2 || value.some((bits, i) => i > 0 && bits <= (value[i - 1] as number))) {
    throw new QdgError(
      "usage",
      name,
      `got ${value.join(", ")}, expected two or more different bits, ascending`,
    );
  }
  return value.map((bits) => integer(name, bits, MIN_BITS, MAX_BITS));
}

function oneOf<T extends string>(name: string, value: unknown, allowed: readonly T[]): T {
  const found = allowed.find((item) => item === value);
  if (found !== undefined) return found;
  throw new QdgError("usage", name, `got ${JSON.stringify(value)}, expected one of ${allowed.join(", ")}`);
}
