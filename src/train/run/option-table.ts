// Every option of a training run: its values, its default, what it is for and where --help lists it. The command
// line, the checks and the docs read this one table. Loads in a moment: nothing of tfjs is imported here.

import { METHOD_NAMES, type MethodName, METHODS } from "../methods/methods.js";
import { DEFAULT_COOLDOWN, SCHEDULE_NAMES } from "../optimizer/schedule.js";
import { AVERAGING_OPTIONS } from "./averaging-option-table.js";
import { METHOD_OPTIONS } from "./method-option-table.js";
import { OSCILLATION_OPTIONS } from "./oscillation-option-table.js";
import { BITS, BOOLEAN, choice, type OptionRow, RATE, SHARE, TEXT, whole } from "./option-kinds.js";
import {
  defaultAugmentation,
  defaultFloatSteps,
  defaultLearningRate,
  defaultModel,
  isFloatMethod,
  isOwnTeacher,
  CYCLIC_METHOD,
  isPretrained,
  methodOf,
  type TrainOptionName,
  type TrainOptions,
} from "./train-options.js";

/** Of `--method`. */
export const DEFAULT_METHOD: MethodName = "gaqat";

const MODEL_TEXT =
  "resnet8, resnet18, mobilenet-v2 (from random weights), or the path of a trained one: model.json or .onnx";

/** `--test-domain` of `testDomain`; `--no-perturb-scales` of what is on unless switched off. */
export function flagOf(name: TrainOptionName): string {
  const words = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return TRAIN_OPTIONS[name].otherwise === true ? `--no-${words}` : `--${words}`;
}

/** In an order in which defaults depend on options above only. */
export const TRAIN_OPTIONS: { readonly [K in TrainOptionName]: OptionRow<TrainOptions[K]> } = {
  data: {
    kind: TEXT,
    argument: "<folder>",
    help: "images as class/image or domain/class/image, or a set that is drawn: shapes-dg or digits-drawn",
    otherwise: undefined,
    // Its content is compared, not its path.
    free: true,
  },
  teacher: {
    kind: TEXT,
    argument: "<self|file>",
    help: "a float network whose probabilities are learned beside the labels: self (this one, as its quantizers begin), or a model.json or .onnx file",
    otherwise: null,
    says: "none",
    nullable: true,
  },
  unlabeled: {
    kind: BOOLEAN,
    help: "--data is images in any layout, without classes: what --teacher, a file, says of them is learned",
    otherwise: false,
  },
  testDomain: {
    kind: { type: "names" },
    argument: "<name...>",
    help: "domains that are never trained on, or none; needed where there are several",
    otherwise: undefined,
  },
  method: {
    kind: choice(...METHOD_NAMES),
    argument: "<name>",
    help: METHOD_NAMES.join(", "),
    otherwise: DEFAULT_METHOD,
    says: `${DEFAULT_METHOD}; lsq for one source domain`,
  },
  bits: {
    kind: BITS,
    argument: "<b>",
    help: "bits of inner weights and activations, 2 to 8",
    otherwise: (known) => methodOf(known).bits,
    says: `${METHODS[DEFAULT_METHOD].bits}; ${METHODS["qt-dog"].bits} for qt-dog; eq-net has --bit-set`,
    nullable: true,
  },
  model: {
    kind: TEXT,
    argument: "<name|file>",
    help: MODEL_TEXT,
    otherwise: defaultModel,
    says: "resnet8; the teacher for --unlabeled",
  },
  imageSize: {
    kind: whole(4, 2048),
    argument: "<n>",
    help: "images are brought to n x n pixels",
    otherwise: (known) => (isPretrained(known) ? null : 32),
    says: "32; that of a trained model",
    nullable: true,
  },
  steps: { kind: whole(1), argument: "<n>", help: "length of the run", otherwise: 1000 },
  backend: {
    kind: choice("auto", "tensorflow", "wasm"),
    argument: "<name>",
    help: "auto, tensorflow (native) or wasm; auto takes the first that loads",
    otherwise: "auto",
    // What a checkpoint compares is the backend that was used.
    free: true,
  },
  shapesCount: {
    kind: whole(1, 100_000),
    argument: "<n>",
    help: "shapes-dg, digits-drawn: images of a class in each domain",
    otherwise: null,
    says: "100",
    nullable: true,
  },
  batchSize: {
    kind: whole(1, 65_536),
    argument: "<n>",
    help: "images of each source domain in a step",
    otherwise: 32,
  },
  augmentation: {
    kind: choice("domainbed", "no-flip", "none"),
    argument: "<kind>",
    help: "domainbed (crop, flip, color, gray), no-flip (for digits and letters) or none",
    otherwise: defaultAugmentation,
    says: "domainbed; no-flip for digits-drawn",
  },
  holdoutFraction: {
    kind: SHARE,
    argument: "<x>",
    help: "share of each class that validates",
    otherwise: 0.2,
  },
  resize: {
    kind: choice("stretch", "center-crop"),
    argument: "<how>",
    help: "stretch both sides, or center-crop to a square",
    otherwise: null,
    says: "as the model says, else stretch",
    nullable: true,
  },
  preprocess: {
    kind: { type: "preprocessing" },
    argument: "<range>",
    help: 'how pixels become the input: "lo,hi", JSON, or a JSON file',
    otherwise: null,
    says: "-1,1; as a trained model says",
    nullable: true,
  },
  cache: {
    kind: TEXT,
    argument: "<folder>",
    help: "where decoded images are kept, or none",
    otherwise: null,
    says: "$XDG_CACHE_HOME/qdg, or ~/.cache/qdg",
    nullable: true,
    free: true,
  },
  threads: {
    kind: whole(0, 64),
    argument: "<n>",
    help: "threads that prepare images; changes nothing but speed",
    otherwise: null,
    says: "by the machine",
    nullable: true,
    free: true,
  },
  skipBroken: {
    kind: BOOLEAN,
    help: "leave out images that cannot be decoded, and name them",
    otherwise: false,
    free: true,
  },
  keepHead: {
    kind: BOOLEAN,
    help: "keep the head of a trained model, which must be of as many classes",
    otherwise: isOwnTeacher,
  },
  width: {
    kind: { type: "real", least: 0.25, most: 1.4 },
    argument: "<x>",
    help: "mobilenet-v2: factor on the channels, 0.25 to 1.4",
    otherwise: null,
    says: "1",
    nullable: true,
  },
  stem: {
    kind: choice("cifar", "imagenet"),
    argument: "<kind>",
    help: "resnet18: cifar for small images, or imagenet",
    otherwise: null,
    says: "cifar up to 64 px",
    nullable: true,
  },
  statistics: {
    kind: choice("frozen", "batch"),
    argument: "<kind>",
    help: "batch normalization by the statistics as they stand, or by the batch, moving them along",
    otherwise: "batch",
  },
  weightBits: {
    kind: BITS,
    argument: "<b>",
    help: "bits of inner weights",
    otherwise: (known) => known.bits,
    says: "--bits",
    nullable: true,
  },
  activationBits: {
    kind: BITS,
    argument: "<b>",
    help: "bits of inner activations",
    otherwise: (known) => (methodOf(known).weightsOnly ? null : known.bits),
    says: "--bits; those of the weights for eq-net",
    nullable: true,
  },
  firstLastBits: {
    kind: BITS,
    argument: "<b>",
    help: "bits of the first and last layers",
    otherwise: (known) => (isFloatMethod(known) ? null : 8),
    says: "8",
    nullable: true,
  },
  layerBits: {
    kind: { type: "layer-bits" },
    argument: "<file>",
    help: 'JSON, or a JSON file: {"layer": bits of both} or {"layer": {"weightBits": b, "activationBits": b}}; * in a name is any text',
    otherwise: {},
    says: "none",
  },
  granularity: {
    kind: choice("channel", "tensor"),
    argument: "<kind>",
    help: "one scale an output channel of a weight, or one for all of it",
    otherwise: "channel",
  },
  signedActivations: {
    kind: choice("asymmetric", "signed"),
    argument: "<kind>",
    help: "activations below 0 with a zero point that is learned, or symmetric around 0",
    otherwise: "asymmetric",
  },
  scaleParameterization: {
    kind: choice("log", "linear"),
    argument: "<kind>",
    help: "what is learned: the logarithm of a scale, or the scale (as LSQ has it)",
    otherwise: "log",
  },
  learningRate: {
    kind: RATE,
    argument: "<x>",
    help: "highest learning rate of Adam",
    otherwise: defaultLearningRate,
    says: "0.003; 0.001 for a trained model, 0.0003 without batch normalization, 0.0001 if its statistics are frozen",
  },
  schedule: {
    kind: choice(...SCHEDULE_NAMES),
    argument: "<kind>",
    help: "of the learning rate after its warm-up: constant, a cosine to 0, constant and then a cooldown (wsd), or the cycles of sqwa",
    otherwise: ({ method }) => (method === CYCLIC_METHOD ? "cyclic" : "cosine"),
    says: "cosine; cyclic for sqwa",
  },
  warmup: {
    kind: whole(0),
    argument: "<n>",
    help: "steps in which the learning rate rises from 0",
    otherwise: (known) => (isPretrained(known) ? 0 : Math.floor(known.steps / 20)),
    says: "a twentieth of the steps; 0 for a trained model",
  },
  cooldown: {
    kind: { type: "real", above: 0, most: 1 },
    argument: "<x>",
    help: "wsd: share of the steps, at the end, in which the rate falls to 0 as 1 - sqrt",
    otherwise: DEFAULT_COOLDOWN,
  },
  weightDecay: {
    kind: { type: "real", least: 0 },
    argument: "<x>",
    help: "added to the gradient of weights, times the weight",
    otherwise: 0,
  },
  beta1: { kind: SHARE, argument: "<x>", help: "Adam: decay of the first moment", otherwise: 0.9 },
  beta2: { kind: SHARE, argument: "<x>", help: "Adam: decay of the second moment", otherwise: 0.999 },
  epsilon: {
    kind: RATE,
    argument: "<x>",
    help: "Adam: added to the root of the second moment",
    otherwise: 1e-8,
  },
  scaleRate: {
    kind: RATE,
    argument: "<x>",
    help: "factor on the learning rate of scales and zero points",
    otherwise: 1,
  },
  clipNorm: {
    kind: RATE,
    argument: "<x>",
    help: "a step's gradient is shortened to this norm where it is longer",
    otherwise: null,
    says: "never",
    nullable: true,
  },
  floatSteps: {
    kind: whole(0),
    argument: "<n>",
    help: "steps in full precision first; quantizers start after them",
    otherwise: defaultFloatSteps,
    says: "0; a fifth of the steps for a trained model",
  },
  ...METHOD_OPTIONS,
  ...OSCILLATION_OPTIONS,
  ...AVERAGING_OPTIONS,
  seed: {
    kind: whole(0, 2 ** 32 - 1),
    argument: "<n>",
    help: "of splits, order, augmentation and weights",
    otherwise: 0,
  },
  evalEvery: {
    kind: whole(1),
    argument: "<n>",
    help: "steps between evaluations",
    otherwise: null,
    says: "a tenth of the steps; more where evaluation would take over a tenth of the time",
    nullable: true,
  },
  evalImages: {
    kind: whole(1),
    argument: "<n>",
    help: "of the training images of a source domain, at most n are evaluated, always the same",
    otherwise: 500,
  },
  evalBatch: { kind: whole(1, 65_536), argument: "<n>", help: "images evaluated at once", otherwise: 128 },
  select: {
    kind: choice("validation", "last"),
    argument: "<which>",
    help: "the model that is kept: best on the validation images of the sources, or the last",
    // Of an average that the validation loss has chosen there is nothing left to choose.
    otherwise: ({ average }) => (average === "swad" ? "last" : "validation"),
    says: "validation; last for --average swad",
  },
  checkpointEvery: {
    kind: whole(1),
    argument: "<n>",
    help: "steps between checkpoints",
    otherwise: 100,
    free: true,
  },
  logEvery: { kind: whole(1), argument: "<n>", help: "steps between lines of log.jsonl", otherwise: 10 },
};
