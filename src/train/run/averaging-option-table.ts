// The options of `--average`: part of the table of all options (option-table.ts).

import { choice, type OptionRow, SHARE, whole } from "./option-kinds.js";
import type { TrainOptionName, TrainOptions } from "./train-options.js";

export type AveragingOptionName = Extract<
  TrainOptionName,
  "average" | "averageDecay" | "swadStart" | "swadEnd" | "swadTolerance"
>;

/**
 * Evaluations are a tenth of a run apart, so that a memory of a twentieth has in it, to seven parts in eight, steps since
 * the last one, and at the end nothing of the beginning.
 */
const MEMORY_SHARE = 20;

export const AVERAGING_OPTIONS: { readonly [K in AveragingOptionName]: OptionRow<TrainOptions[K]> } = {
  average: {
    kind: choice("none", "ema", "swad"),
    argument: "<kind>",
    help: "what is evaluated and kept: the weights of the step, their exponential average, or their mean over the steps that the validation loss chooses",
    otherwise: "none",
  },
  averageDecay: {
    kind: SHARE,
    argument: "<d>",
    help: "ema: what a step leaves of the average",
    otherwise: ({ steps }) => 1 - 1 / Math.max(2, steps / MEMORY_SHARE),
    says: "a memory of a twentieth of the steps, 1 - 20/steps",
  },
  swadStart: {
    kind: whole(1),
    argument: "<n>",
    help: "swad: the average begins at the first evaluation whose validation loss is the least of n",
    otherwise: 3,
  },
  swadEnd: {
    kind: whole(1),
    argument: "<n>",
    help: "swad: and ends before n evaluations in a row whose loss is too high",
    otherwise: 6,
  },
  swadTolerance: {
    kind: { type: "real", least: 1 },
    argument: "<r>",
    help: "swad: too high is above r times the mean loss at the start",
    otherwise: 1.3,
  },
};
