// Data sets of many domains, and how each is trained on: what all runs on one set have in common.

import { join } from "node:path";
import { SHARED_FOLDER } from "./environment.js";

export const SET_NAMES = ["digits-dg", "PACS"] as const;
export type SetName = (typeof SET_NAMES)[number];

/** Points of validation accuracy that bits may cost, and of accuracy on the domain that is held out. */
export interface Bar {
  readonly validation: number;
  readonly heldOut?: number;
}

export interface GeneralizationSet {
  readonly folder: string;
  readonly testDomain: string;
  readonly steps: number;
  readonly imageSize: number;
  /** What every run is given, whatever its method. */
  readonly options: readonly string[];
  /** By bits, against erm of the same seeds. */
  readonly bars: Readonly<Record<string, Bar>>;
  /** Least validation accuracy of erm itself, in percent. */
  readonly floatBar?: number;
}

export const SETS: Readonly<Record<SetName, GeneralizationSet>> = {
  "digits-dg": {
    folder: join(SHARED_FOLDER, "data", "digits-dg"),
    testDomain: "mnist_m",
    steps: 2000,
    imageSize: 16,
    // Digits must not be flipped, and are far from what a network is pretrained on.
    options: ["--model", "resnet8", "--augmentation", "no-flip", "--batch-size", "32"],
    bars: {},
  },
  PACS: {
    folder: join(SHARED_FOLDER, "data", "PACS"),
    testDomain: "sketch",
    steps: 1500,
    imageSize: 64,
    options: [
      "--model",
      join(SHARED_FOLDER, "models", "mobilenet-v2-035-224", "model.json"),
      "--batch-size",
      "16",
    ],
    bars: { W3A8: { validation: 3, heldOut: 5 }, W4A4: { validation: 6 }, W3A3: { validation: 15 } },
    floatBar: 72,
  },
};
