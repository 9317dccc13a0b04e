// Under which heading --help lists an option: the ones that matter first. A test holds that none is left out.

import type { TrainOptionName } from "./train-options.js";

/** Headings of --help, each with its options, in order. */
export const OPTION_GROUPS: Readonly<Record<string, readonly TrainOptionName[]>> = {
  "The run:": ["data", "testDomain", "method", "bits", "model", "imageSize", "steps", "backend"],
  "Images:": [
    "shapesCount",
    "batchSize",
    "augmentation",
    "holdoutFraction",
    "resize",
    "preprocess",
    "cache",
    "threads",
    "skipBroken",
  ],
  "Network and quantizers:": [
    "keepHead",
    "width",
    "stem",
    "statistics",
    "weightBits",
    "activationBits",
    "firstLastBits",
    "layerBits",
    "granularity",
    "signedActivations",
    "scaleParameterization",
  ],
  "Optimization:": [
    "learningRate",
    "schedule",
    "warmup",
    "weightDecay",
    "beta1",
    "beta2",
    "epsilon",
    "scaleRate",
    "clipNorm",
    "floatSteps",
    "teacher",
    "seed",
  ],
  "Method:": [
    "rho",
    "alpha",
    "window",
    "thresholdMode",
    "threshold",
    "freeze",
    "measure",
    "disorder",
    "perturbScales",
    "qtDogStart",
  ],
  "Evaluation and saving:": ["evalEvery", "evalImages", "evalBatch", "select", "checkpointEvery", "logEvery"],
};
