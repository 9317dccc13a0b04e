// The options of an export and their defaults, for the command line and for callers alike.

import { resolve } from "node:path";
import { QdgError } from "../base/error.js";
import { type LayerBits, type Recipe, recipeOf } from "../graph/recipe.js";
import type { BrokenImage } from "../image/folder.js";
import type { Preprocessing } from "../image/preprocessing.js";
import type { HostForm, WeightStorage } from "../lower/form.js";
import { DEFAULT_OPSET, INT4_OPSET, irVersionFor } from "../onnx/opset.js";
import type { ObserverName } from "../quant/observers/observers.js";
import { checkBits } from "../quant/spec.js";
import { checkBudget } from "./budget/options.js";
import { plannedFiles } from "./file-plan.js";

/** What files are made for: one for cpu and wasm, another for webgpu. */
export const TARGETS = ["cpu", "wasm", "webgpu"] as const;
export type Target = (typeof TARGETS)[number];
export type HostTarget = Exclude<Target, "webgpu">;

/** Post-training quantization of weights. */
export const PTQ = ["reconstruct", "nearest"] as const;
export type Ptq = (typeof PTQ)[number];

export interface ExportOptions {
  /** Path of the model.json. */
  readonly model: string;
  /** Path of the ONNX file to write; that for webgpu beside another is `<output without .onnx>.webgpu.onnx`. */
  readonly output: string;
  readonly force?: boolean;
  /** Path of a page to write beside: what the export did to each layer. */
  readonly report?: string;
  /** Plain float32 ONNX: nothing is quantized. */
  readonly float?: boolean;

  /** Bits of inner weights, 2..8. Where scales were learned: what they are expected to have. */
  readonly bits?: number;
  /** Another name of `bits`. */
  readonly weightBits?: number;
  /** Bits of inner activations; 8 when absent, or as they were learned. */
  readonly activationBits?: number;
  /** Of the first and last layers' weights and of what enters the network and its last layer; 8 when absent. */
  readonly firstLastBits?: number;
  /** Bits by layer name, or by a pattern with `*`; they win over all others, the last of them that matches over the rest. */
  readonly layers?: Readonly<Record<string, LayerBits>>;
  /** How activations that can be negative are held; asymmetric. */
  readonly signedActivations?: "asymmetric" | "signed";

  /** A folder of images, an .npy file, `input=file.npy` for each input, or `synthetic`: drawn images. None: weights only. */
  readonly calibration?: readonly string[];
  /** Samples to calibrate on; 64. */
  readonly calibrationCount?: number;
  /** Samples kept out of calibration to measure the cost on; 32. */
  readonly heldOutCount?: number;
  /** Which samples are picked; 0. */
  readonly seed?: number;
  readonly skipBroken?: boolean;
  readonly onSkipped?: (broken: BrokenImage) => void;
  /** How scales of activations are found; mse. */
  readonly observer?: ObserverName;
  /**
   * How weights without learned scales become integers: by what they do to the layer's output on the calibration samples,
   * or each to its nearest. Reconstruct where there are samples, unless scales are powers of two.
   */
  readonly ptq?: Ptq;
  /** Take the mean error of weight rounding out of the biases; true. */
  readonly biasCorrection?: boolean;
  /** Only powers of two as scales. */
  readonly powerOfTwo?: boolean;
  /**
   * Calibrated 8-bit weights as near to the real ones as 8 bits allow; false. Otherwise no two that x86-64 without VNNI
   * adds in 16 bits pass them: about 1.4 dB of the weights, for kernels that are several times as fast.
   */
  readonly freeWeights?: boolean;

  /**
   * Bytes that a file may take: the bits of layers of which nobody says anything are chosen for it, 2 to 8 each. Needs
   * calibration samples, as the next two; at most one of the three is given, and no `bits`.
   */
  readonly budget?: number;
  /** 2..8, also between: as `budget`, for the size that inner weights of these bits would have. */
  readonly averageBits?: number;
  /** Percent, above 0: the smallest file whose top-1 agreement with the float network on held-out samples reaches it. */
  readonly minAgreement?: number;
  /**
   * 2..8, also between: the bits of computed activations of which nobody says anything are chosen so that their mean over
   * the elements of one sample is at most this. Needs calibration samples; no `activationBits` and no `minAgreement` beside.
   */
  readonly averageActivationBits?: number;
  /** Seconds to better the bits that are chosen by trial on the whole network; 0. Bytes then depend on the machine's speed. */
  readonly searchTime?: number;

  /** How an image becomes the input, where the model does not say. */
  readonly preprocessing?: Preprocessing;
  readonly labels?: readonly string[];
  /** Height and width of images for a model whose input leaves them open. */
  readonly inputSize?: readonly [height: number, width: number];

  /** Order of the axes of images; as the model has it when absent: nhwc for a tfjs model. */
  readonly layout?: "nhwc" | "nchw";
  readonly opset?: number;
  /** How weights below 8 bits are stored; packed. */
  readonly weights?: WeightStorage;
  /** How integers are carried on cpu and wasm; by the targets and the network when absent. */
  readonly form?: HostForm;
  /** Choose the form by timing whole models on cpu and wasm, as far as they are targets. */
  readonly tune?: boolean;
  /** Compare the integers of ONNX Runtime with the reference's before anything is written; true. */
  readonly verify?: boolean;
  /** What the file is for; cpu and wasm. */
  readonly targets?: readonly Target[];
}

type Defaulted =
  | "force"
  | "float"
  | "layers"
  | "signedActivations"
  | "calibration"
  | "calibrationCount"
  | "heldOutCount"
  | "seed"
  | "skipBroken"
  | "observer"
  | "biasCorrection"
  | "powerOfTwo"
  | "freeWeights"
  | "opset"
  | "weights"
  | "tune"
  | "verify"
  | "targets";

export type CompleteExportOptions = ExportOptions & Required<Pick<ExportOptions, Defaulted>>;

const DEFAULTS: Required<Pick<ExportOptions, Defaulted>> = {
  force: false,
  float: false,
  layers: {},
  signedActivations: "asymmetric",
  calibration: [],
  calibrationCount: 64,
  heldOutCount: 32,
  seed: 0,
  skipBroken: false,
  observer: "mse",
  biasCorrection: true,
  powerOfTwo: false,
  freeWeights: false,
  opset: DEFAULT_OPSET,
  weights: "packed",
  tune: false,
  verify: true,
  targets: ["cpu", "wasm"],
};

/** @throws QdgError `invalid-quantization` or `usage` for bits, opset, budgets and counts out of range */
export function withDefaults(options: ExportOptions): CompleteExportOptions {
  const complete = { ...DEFAULTS, ...options };
  const { bits, weightBits, activationBits, firstLastBits } = options;
  for (const [name, value] of Object.entries({ bits, weightBits, activationBits, firstLastBits })) {
    if (value !== undefined) checkBits(value, name);
  }
  if (bits !== undefined && weightBits !== undefined && bits !== weightBits) {
    throw new QdgError(
      "usage",
      "--weight-bits",
      `got ${weightBits}, and --bits ${bits}: both are the bits of inner weights; give one`,
    );
  }
  irVersionFor(complete.opset);
  if (complete.weights === "int4") checkInt4(complete);
  checkTargets(complete);
  checkPtq(complete);
  checkReport(complete);
  checkBudget(complete);
  if (complete.calibration.length > 0 && complete.calibrationCount < 1) {
    throw new QdgError("usage", "calibrationCount", `got ${complete.calibrationCount}, expected at least 1`);
  }
  return complete;
}

function checkPtq({ ptq, powerOfTwo, calibration }: CompleteExportOptions): void {
  if (ptq !== "reconstruct" || (calibration.length > 0 && !powerOfTwo)) return;
  throw new QdgError(
    "usage",
    "--ptq reconstruct",
    powerOfTwo
      ? "got --scales pow2, expected free scales; leave one of the two out"
      : "got no samples to reconstruct on; give --calibration, or --ptq nearest",
  );
}

function checkReport({ report, float, model, output, targets }: CompleteExportOptions): void {
  if (report === undefined) return;
  if (float) {
    throw new QdgError(
      "usage",
      "--report",
      "shows what quantization does, and --float quantizes nothing; leave one of the two out",
    );
  }
  const others = [model, ...plannedFiles({ output, targets }).map(({ path }) => path)];
  if (others.some((path) => resolve(path) === resolve(report))) {
    throw new QdgError(
      "usage",
      "--report",
      `got ${report}, the name of another file of this export; give a name for the page, as report.html`,
    );
  }
}

function checkTargets({ targets, form, tune }: CompleteExportOptions): void {
  if (targets.length === 0) {
    throw new QdgError("usage", "--target", `got none, expected some of ${TARGETS.join(", ")}`);
  }
  const option = form ? "--form" : tune ? "--tune" : null;
  if (option === null || targets.some((target) => target !== "webgpu")) return;
  throw new QdgError(
    "usage",
    option,
    "is about files for cpu and wasm, and there is one form for webgpu; leave it out, or add a target",
  );
}

/** What the options ask of the bits of a network. */
export function recipeOfOptions(options: CompleteExportOptions): Recipe {
  const { bits, weightBits = bits, activationBits, firstLastBits, layers, signedActivations } = options;
  return recipeOf({
    ...(weightBits !== undefined && { weightBits }),
    ...(activationBits !== undefined && { activationBits }),
    ...(firstLastBits !== undefined && { firstLastBits }),
    layers,
    signedActivations,
  });
}

function checkInt4(options: CompleteExportOptions): void {
  const { opset } = options;
  if (opset < INT4_OPSET) {
    throw new QdgError(
      "usage",
      "--weights int4",
      `got opset ${opset}, expected at least ${INT4_OPSET}; take a newer one, or --weights packed`,
    );
  }
  const asked = recipeOfOptions(options).rules.map(({ weightBits }) => weightBits);
  const tooMany = asked.find((each) => each !== undefined && each > 4 && each < 8);
  if (tooMany === undefined) return;
  throw new QdgError(
    "usage",
    "--weights int4",
    `got weights of ${tooMany} bits, expected at most 4, or 8; use --weights packed or int8`,
  );
}
