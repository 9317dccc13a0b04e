// Options of a run as the command line of `qdg train` has them, so that a job is what a person could type.

import { QdgError } from "../base/error.js";
import type { OptionRow } from "../train/run/option-kinds.js";
import { flagOf, TRAIN_OPTIONS } from "../train/run/option-table.js";
import type { AskedTrainOptions, TrainOptionName } from "../train/run/train-options.js";
import { shellWord } from "./shell-word.js";

/** `["--data=photos", "--bits=3"]`: values that begin with a dash stay values. */
export function trainArguments(options: AskedTrainOptions): string[] {
  return Object.entries(options).flatMap(([key, value]: [string, unknown]) => {
    const name = key as TrainOptionName;
    const flag = flagOf(name);
    if (value === undefined || value === null) return [];
    if (Array.isArray(value)) return value.map((each) => `${flag}=${String(each)}`);
    if (typeof value === "object") return [`${flag}=${JSON.stringify(value)}`];
    if (typeof value !== "boolean") return [`${flag}=${value as string | number}`];
    const { otherwise } = TRAIN_OPTIONS[name] as OptionRow<boolean>;
    if (typeof otherwise === "boolean") return value === otherwise ? [] : [flag];
    if (value) return [flag];
    throw new QdgError("usage", flag, "cannot be switched off where it is on by itself; leave it out");
  });
}

/** For people: one line that a POSIX shell takes. */
export function trainCommandLine(options: AskedTrainOptions, out: string): string {
  return ["qdg", "train", ...trainArguments(options), "--out", out].map(shellWord).join(" ");
}
