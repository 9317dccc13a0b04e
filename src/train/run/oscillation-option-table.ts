// The options of `--oscillation`: part of the table of all options (option-table.ts).

import { choice, type OptionRow, RATE } from "./option-kinds.js";
import type { TrainOptionName, TrainOptions } from "./train-options.js";

export type OscillationOptionName = Extract<
  TrainOptionName,
  "oscillation" | "dampening" | "oscillationThreshold"
>;

export const OSCILLATION_OPTIONS: { readonly [K in OscillationOptionName]: OptionRow<TrainOptions[K]> } = {
  oscillation: {
    kind: choice("none", "dampen", "freeze"),
    argument: "<how>",
    help: "of weights whose integers flip back and forth: left alone, pulled to the middle of their step, or held",
    otherwise: "none",
  },
  dampening: {
    kind: RATE,
    argument: "<x>",
    help: "dampen: its factor in the loss at the end of the run, rising from 0",
    otherwise: 0.1,
  },
  oscillationThreshold: {
    kind: { type: "real", above: 0, most: 0.1 },
    argument: "<f>",
    help: "freeze: flips a step above which a weight is held at the end of the run, falling from 0.1",
    otherwise: 0.01,
  },
};
