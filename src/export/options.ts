// The options of an export and their defaults, for the command line and for callers alike.

import { QdgError } from "../base/error.js";
import type { LayerBits } from "../graph/place-quantizers.js";
import type { BrokenImage } from "../image/folder.js";
import type { Preprocessing } from "../image/preprocessing.js";
import type { HostForm, WeightStorage } from "../lower/form.js";
import { DEFAULT_OPSET, INT4_OPSET, irVersionFor } from "../onnx/opset.js";
import type { ObserverName } from "../quant/observers/observers.js";
import { checkBits } from "../quant/spec.js";

/** What files are made for: one for cpu and wasm, another for webgpu. */
export const TARGETS = ["cpu", "wasm", "webgpu"] as const;
export type Target = (typeof TARGETS)[number];
export type HostTarget = Exclude<Target, "webgpu">;

export interface ExportOptions {
  /** Path of the model.json. */
  readonly model: string;
  /** Path of the ONNX file to write; that for webgpu beside another is `<output without .onnx>.webgpu.onnx`. */
  readonly output: string;
  readonly force?: boolean;
  /** Plain float32 ONNX: nothing is quantized. */
  readonly float?: boolean;

  /** Bits of inner weights and activations, 2..8; `weightBits` and `activationBits` win over it. */
  readonly bits?: number;
  readonly weightBits?: number;
  readonly activationBits?: number;
  /** Of the first and last layers' weights and of what enters the network and its last layer; 8 when absent. */
  readonly firstLastBits?: number;
  /** Bits by layer name; they win over all others. */
  readonly layers?: Readonly<Record<string, LayerBits>>;
  /** How activations that can be negative are held; asymmetric. */
  readonly signedActivations?: "asymmetric" | "signed";

  /** A folder of images, an .npy file, or `input=file.npy` for each input. None: weights only. */
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
  /** Take the mean error of weight rounding out of the biases; true. */
  readonly biasCorrection?: boolean;
  /** Only powers of two as scales. */
  readonly powerOfTwo?: boolean;

  /** How an image becomes the input, where the model does not say. */
  readonly preprocessing?: Preprocessing;
  readonly labels?: readonly string[];
  /** Height and width of images for a model whose input leaves them open. */
  readonly inputSize?: readonly [height: number, width: number];

  readonly layout?: "nhwc" | "nchw";
  readonly opset?: number;
  /** How weights below 8 bits are stored; packed. */
  readonly weights?: WeightStorage;
  /** How integers are carried on cpu and wasm; by the targets and the network when absent. */
  readonly form?: HostForm;
  /** Choose the form by timing whole models on cpu and wasm, as far as they are targets. */
  readonly tune?: boolean;
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
  | "layout"
  | "opset"
  | "weights"
  | "tune"
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
  layout: "nhwc",
  opset: DEFAULT_OPSET,
  weights: "packed",
  tune: false,
  targets: ["cpu", "wasm"],
};

/** @throws QdgError `invalid-quantization` or `usage` for bits, opset and counts out of range */
export function withDefaults(options: ExportOptions): CompleteExportOptions {
  const complete = { ...DEFAULTS, ...options };
  const { bits, weightBits, activationBits, firstLastBits } = options;
  for (const [name, value] of Object.entries({ bits, weightBits, activationBits, firstLastBits })) {
    if (value !== undefined) checkBits(value, name);
  }
  irVersionFor(complete.opset);
  if (complete.weights === "int4") checkInt4(complete);
  checkTargets(complete);
  if (complete.calibration.length > 0 && complete.calibrationCount < 1) {
    throw new QdgError("usage", "calibrationCount", `got ${complete.calibrationCount}, expected at least 1`);
  }
  return complete;
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

function checkInt4({ opset, bits, weightBits, firstLastBits, layers }: CompleteExportOptions): void {
  if (opset < INT4_OPSET) {
    throw new QdgError(
      "usage",
      "--weights int4",
      `got opset ${opset}, expected at least ${INT4_OPSET}; take a newer one, or --weights packed`,
    );
  }
  const asked = [weightBits ?? bits, firstLastBits, ...Object.values(layers).map((each) => each.weightBits)];
  const tooMany = asked.find((each) => each !== undefined && each > 4 && each < 8);
  if (tooMany === undefined) return;
  throw new QdgError(
    "usage",
    "--weights int4",
    `got weights of ${tooMany} bits, expected at most 4, or 8; use --weights packed or int8`,
  );
}
