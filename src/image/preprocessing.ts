// How an image becomes the network's input. It belongs to the model: stored in the file at export, read
// back by parity, evaluation and deployment. Loads in browsers: no Node built-ins here.

import type { QdgErrorCode } from "../base/error.js";
import { errorText, QdgError } from "../base/error.js";

/**
 * `x = (low + (high - low) * pixel / 255 - mean[c]) / std[c]`, pixel in 0..255 after resizing.
 *
 * `mean` and `std` hold one number for all channels, or one a channel.
 * `resize`: "stretch" scales both sides apart; "center-crop" first cuts the largest centered rectangle of
 * the target's aspect ratio. Channels: 3 is RGB (alpha over white), 1 is ITU-R BT.601 luma.
 */
export interface Preprocessing {
  readonly range: readonly [low: number, high: number];
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly resize: "stretch" | "center-crop";
}

/** Preprocessing as JSON: the fields of Preprocessing and no others. */
export interface PreprocessingJson {
  readonly range: readonly [number, number];
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly resize: "stretch" | "center-crop";
}

const KEYS: readonly string[] = ["range", "mean", "std", "resize"] satisfies (keyof Preprocessing)[];

const EXPECTED =
  'expected "low,high" (as 0,1 or -1,1 or 0,255) or JSON as {"range": [0, 1], "mean": [0], "std": [1], "resize": "stretch"}';

/** Values are scaled to low..high, both sides stretched to the input's size. */
export function rangePreprocessing(low: number, high: number): Preprocessing {
  return { range: [low, high], mean: [0], std: [1], resize: "stretch" };
}

/**
 * What `--preprocess` says: `low,high`, or a JSON object (the text itself, or that of a file which the
 * caller has read) with `range` and, where wanted, `mean` (default 0), `std` (1) and `resize` ("stretch").
 *
 * @throws QdgError `usage`; `invalid-json` for JSON that does not parse
 */
export function parsePreprocessing(text: string, where = "--preprocess"): Preprocessing {
  const trimmed = text.replace(/^\uFEFF/, "").trim();
  if (trimmed.startsWith("{")) {
    let json: unknown;
    try {
      json = JSON.parse(trimmed);
    } catch (thrown) {
      throw new QdgError("invalid-json", where, `${errorText(thrown)}; ${EXPECTED}`, { cause: thrown });
    }
    const defaults = { mean: [0], std: [1], resize: "stretch" };
    return checked({ ...defaults, ...(json as object) }, where, "usage");
  }
  const parts = trimmed.split(",").map((part) => part.trim());
  // Number("") is 0, which nobody meant.
  const [low, high] = parts.map((part) => (part === "" ? Number.NaN : Number(part)));
  if (parts.length !== 2 || low === undefined || high === undefined || !(isFloat32(low) && isFloat32(high))) {
    throw new QdgError("usage", where, `got "${text}", ${EXPECTED}`);
  }
  return checked({ ...rangePreprocessing(low, high) }, where, "usage");
}

/** For a file's metadata. preprocessingFromJson of it is the same preprocessing. */
export function preprocessingToJson(preprocessing: Preprocessing): PreprocessingJson {
  const { range, mean, std, resize } = preprocessing;
  return { range: [range[0], range[1]], mean: [...mean], std: [...std], resize };
}

/**
 * Reads back what preprocessingToJson wrote: every field, no other.
 *
 * @throws QdgError `invalid-data`, or what `code` says
 */
export function preprocessingFromJson(
  json: unknown,
  where: string,
  code: QdgErrorCode = "invalid-data",
): Preprocessing {
  return checked(json, where, code);
}

/** @throws QdgError `invalid-data` unless mean and std hold one number, or one for each of `channels` */
export function checkChannels(preprocessing: Preprocessing, channels: number, where: string): void {
  for (const key of ["mean", "std"] as const) {
    const { length } = preprocessing[key];
    if (length === 1 || length === channels) continue;
    throw new QdgError(
      "invalid-data",
      where,
      `${key}: got ${length} numbers, expected 1 or ${channels}, the channels of the input`,
    );
  }
}

function checked(json: unknown, where: string, code: QdgErrorCode): Preprocessing {
  const fail = (what: string): never => {
    throw new QdgError(code, where, what);
  };
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return fail(`got ${JSON.stringify(json)}, expected an object with ${KEYS.join(", ")}`);
  }
  for (const key of Object.keys(json)) {
    if (!KEYS.includes(key)) fail(`unknown key "${key}", expected ${KEYS.join(", ")}; remove it`);
  }
  const { range, mean, std, resize } = json as Readonly<Record<string, unknown>>;
  const numbers = (key: string, value: unknown): readonly number[] => {
    const list: unknown[] = Array.isArray(value) ? value : [value];
    if (list.length === 0 || !list.every(isFloat32)) {
      fail(`${key}: got ${JSON.stringify(value)}, expected finite numbers`);
    }
    return list as number[];
  };
  const [low, high, ...more] = Array.isArray(range) ? numbers("range", range) : [];
  if (low === undefined || high === undefined || more.length > 0) {
    return fail(`range: got ${JSON.stringify(range)}, expected two numbers, [low, high]`);
  }
  if (!(high > low)) fail(`range: got [${low}, ${high}], expected high > low`);
  const means = numbers("mean", mean);
  const stds = numbers("std", std);
  // Also what float32 holds as 0: the input is divided by it.
  if (stds.some((value) => !(Math.fround(value) > 0))) {
    fail(`std: got ${JSON.stringify(std)}, expected numbers > 0`);
  }
  if (means.length !== stds.length && means.length !== 1 && stds.length !== 1) {
    fail(`got ${means.length} numbers in mean and ${stds.length} in std, expected as many, or one`);
  }
  if (resize !== "stretch" && resize !== "center-crop") {
    return fail(`resize: got ${JSON.stringify(resize)}, expected "stretch" or "center-crop"`);
  }
  return { range: [low, high], mean: [...means], std: [...stds], resize };
}

/** A number that float32 holds without becoming infinite. */
function isFloat32(value: unknown): value is number {
  return typeof value === "number" && Number.isFinite(Math.fround(value));
}
