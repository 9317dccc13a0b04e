// A value of one option of training as a sweep file writes it: checked by train's own tables, in the form that a run
// takes. Files that a value names are read here, so that a job means the same wherever it runs.

import { resolve } from "node:path";
import { errorText, QdgError } from "../base/error.js";
import { readBytes } from "../base/read-bytes.js";
import { checkedLayerBits, parseLayerBits } from "../graph/layer-bits.js";
import { parsePreprocessing } from "../image/preprocessing.js";
import { checkedOption, type OptionRow } from "../train/run/option-kinds.js";
import { TRAIN_OPTIONS } from "../train/run/option-table.js";
import type { TrainOptionName } from "../train/run/train-options.js";

/** Of a file that a value names. */
const MOST_BYTES = 2 ** 20;

/**
 * @param base what relative paths are relative to
 * @param where as `sweep.json: grid.bits[1]`, for messages
 * @returns undefined for null: the option is left out
 * @throws QdgError `invalid-data` for a value that is not of the option's kind; as readBytes for a file
 */
export async function optionValue(
  name: TrainOptionName,
  value: unknown,
  base: string,
  where: string,
): Promise<unknown> {
  if (value === null) return undefined;
  const { kind } = TRAIN_OPTIONS[name] as OptionRow<unknown>;
  try {
    if (kind.type === "names") return checkedOption(kind, typeof value === "string" ? [value] : value, where);
    if (kind.type === "preprocessing") return await preprocessingOf(value, base, where);
    if (kind.type === "layer-bits") {
      if (typeof value !== "string") return checkedLayerBits(value, where, "both");
      const path = resolve(base, value);
      return parseLayerBits(await textOf(path), path, "both");
    }
    return checkedOption(kind, value, where);
  } catch (thrown) {
    // In a file it is no wrong usage of the command.
    if (!(thrown instanceof QdgError) || thrown.code !== "usage") throw thrown;
    throw asData(thrown);
  }
}

/** The same message of an error in a file. */
export function asData(thrown: QdgError, where: string = thrown.where): QdgError {
  const what = errorText(thrown)
    .replace(/ \[[a-z-]+\]$/, "")
    .slice(where === thrown.where ? thrown.where.length + 2 : 0);
  return new QdgError("invalid-data", where, what, { cause: thrown });
}

async function preprocessingOf(value: unknown, base: string, where: string): Promise<unknown> {
  if (typeof value !== "string") return parsePreprocessing(JSON.stringify(value), where);
  if (!value.toLowerCase().endsWith(".json")) return parsePreprocessing(value, where);
  const path = resolve(base, value);
  return parsePreprocessing(await textOf(path), path);
}

async function textOf(path: string): Promise<string> {
  return (await readBytes(path, MOST_BYTES)).toString("utf8").replace(/^\uFEFF/, "");
}
