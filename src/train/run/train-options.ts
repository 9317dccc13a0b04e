// The options of a training run as a type, and what some of them imply. Their values, defaults and words are in
// option-table.ts. Loads in a moment, for --help: nothing of tfjs is imported here.

import type { LayerBits } from "../../graph/recipe.js";
import { DRAWN_SETS, isDrawnSet } from "../../image/drawn-sets.js";
import type { Preprocessing } from "../../image/preprocessing.js";
import { type MethodName, type MethodRow, METHODS } from "../methods/methods.js";

/** All options of a run with their values. Plain JSON: run.json and every checkpoint hold it. */
export interface TrainOptions {
  readonly data: string;
  /** SELF, or the path of a model. */
  readonly teacher: string | null;
  readonly unlabeled: boolean;
  readonly testDomain: readonly string[];
  readonly method: string;
  /** null: nothing is quantized. */
  readonly bits: number | null;
  readonly model: string;
  readonly imageSize: number | null;
  readonly steps: number;
  readonly backend: string;
  readonly shapesCount: number | null;
  readonly batchSize: number;
  readonly augmentation: string;
  readonly holdoutFraction: number;
  readonly resize: string | null;
  readonly preprocess: Preprocessing | null;
  readonly cache: string | null;
  readonly threads: number | null;
  readonly skipBroken: boolean;
  readonly keepHead: boolean;
  readonly width: number | null;
  readonly stem: string | null;
  readonly statistics: string;
  readonly weightBits: number | null;
  readonly activationBits: number | null;
  readonly firstLastBits: number | null;
  readonly layerBits: Readonly<Record<string, LayerBits>>;
  readonly granularity: string;
  readonly signedActivations: string;
  readonly scaleParameterization: string;
  readonly learningRate: number;
  readonly schedule: string;
  readonly warmup: number;
  readonly cooldown: number;
  readonly weightDecay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly scaleRate: number;
  readonly clipNorm: number | null;
  readonly floatSteps: number;
  readonly rho: number;
  readonly alpha: number;
  readonly window: number;
  readonly thresholdMode: string;
  readonly threshold: number;
  readonly freeze: string;
  readonly freezeSide: string;
  readonly measure: string;
  readonly disorder: string;
  readonly decide: string;
  readonly opposing: string;
  readonly perturbScales: boolean;
  readonly qtDogStart: number;
  readonly cycles: number;
  readonly fineTuning: number;
  readonly oscillation: string;
  readonly dampening: number;
  readonly oscillationThreshold: number;
  readonly average: string;
  readonly averageDecay: number;
  readonly swadStart: number;
  readonly swadEnd: number;
  readonly swadTolerance: number;
  readonly l1Weight: number;
  readonly l1Start: number;
  readonly safWeight: number;
  readonly safEpochs: number;
  readonly safTemperature: number;
  readonly bitSet: readonly number[];
  readonly evaluateBits: readonly number[];
  readonly guidance: string;
  readonly seed: number;
  readonly evalEvery: number | null;
  readonly evalImages: number;
  readonly evalBatch: number;
  readonly select: string;
  readonly checkpointEvery: number;
  readonly logEvery: number;
}

export type TrainOptionName = keyof TrainOptions;

/** As given: what is left out takes its default. */
export type AskedTrainOptions = { readonly [K in TrainOptionName]?: TrainOptions[K] };

/** The method whose averages are of the low points of `--schedule cyclic`. */
export const CYCLIC_METHOD: MethodName = "sqwa";

/** Networks of their own; any other `--model` is the path of a model.json or an ONNX file. */
export const BUILT_IN_MODELS: readonly string[] = ["resnet8", "resnet18", "mobilenet-v2"];

/** Of `--test-domain`: all domains are sources. */
export const NO_TEST_DOMAIN = "none";

/** Of `--teacher`: the network itself, as its quantizers begin. */
export const SELF = "self";

/** Whether the model brings trained weights along. */
export function isPretrained({ model }: Pick<TrainOptions, "model">): boolean {
  return !BUILT_IN_MODELS.includes(model);
}

/** @param options whose method has been checked to be one */
export function methodOf({ method }: Pick<TrainOptions, "method">): MethodRow {
  return METHODS[method as MethodName];
}

/** Without labels the teacher itself. */
export function defaultModel({
  unlabeled,
  teacher,
}: Pick<AskedTrainOptions, "unlabeled" | "teacher">): string {
  return (unlabeled ? teacher : null) ?? "resnet8";
}

/** Whether a network begins as the teacher that it learns from, without labels: its head is kept, nothing is learned in float. */
export function isOwnTeacher(options: Pick<TrainOptions, "unlabeled" | "model" | "teacher">): boolean {
  return options.unlabeled && options.model === options.teacher;
}

/** Whether one network is trained for several bits of its inner layers. */
export function isForSeveralBits(options: Pick<TrainOptions, "method">): boolean {
  return methodOf(options).settings.includes("bitSet");
}

export function isFloatMethod(options: Pick<TrainOptions, "method">): boolean {
  return methodOf(options).quantizedFrom === "never";
}

/** No flips where a mirrored image is of no class. What a folder shows nobody knows here. */
export function defaultAugmentation({ data }: Pick<TrainOptions, "data">): string {
  return isDrawnSet(data) && !DRAWN_SETS[data].mirrors ? "no-flip" : "domainbed";
}

/** Trained layers need less than a network that starts from nothing, and with batch statistics bear more than without. */
export function defaultLearningRate(options: Pick<TrainOptions, "model" | "statistics">): number {
  if (!isPretrained(options)) return 3e-3;
  return options.statistics === "frozen" ? 1e-4 : 1e-3;
}

/** Of a trained network, a fifth of the steps: its new head has to know something before values are rounded. */
export function defaultFloatSteps(options: TrainOptions): number {
  const warmStart =
    isPretrained(options) && methodOf(options).quantizedFrom === "start" && !isOwnTeacher(options);
  return warmStart ? Math.floor(options.steps / 5) : 0;
}
