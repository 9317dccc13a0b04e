// Options that mean something only where another option has a certain value, and are refused elsewhere.

import type { TrainOptionName } from "./train-options.js";

export interface Need {
  readonly option: TrainOptionName;
  readonly value: string;
}

export const OPTION_NEEDS: Readonly<Partial<Record<TrainOptionName, Need>>> = {
  cooldown: { option: "schedule", value: "wsd" },
  averageDecay: { option: "average", value: "ema" },
  swadStart: { option: "average", value: "swad" },
  swadEnd: { option: "average", value: "swad" },
  swadTolerance: { option: "average", value: "swad" },
};
