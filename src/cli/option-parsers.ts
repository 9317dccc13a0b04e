// Turns the text of options into values; wrong text is wrong usage, with what was expected.

import { QdgError } from "../base/error.js";
import { readBytes } from "../base/read-bytes.js";
import { parseLayerBits } from "../graph/layer-bits.js";
import type { LayerBits } from "../graph/recipe.js";
import { parsePreprocessing, type Preprocessing } from "../image/preprocessing.js";
import { MAX_BITS, MIN_BITS } from "../quant/spec.js";

/** A parser of whole numbers for commander. */
export function integer(option: string, least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
    throw new QdgError("usage", option, `got "${text}", expected a whole number >= ${least}`);
  };
}

/** A parser of decimal numbers for commander; how large they may be is said elsewhere. */
export function decimal(option: string, expected: string): (text: string) => number {
  return (text) => {
    if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
    throw new QdgError("usage", option, `got "${text}", expected ${expected}`);
  };
}

/** `450kB`, `1.5 MB`, `450000`: bytes, kB = 1000, MB = 1000 kB. */
export function byteCount(option: string): (text: string) => number {
  return (text) => {
    const [, number, unit = ""] = /^(\d+(?:\.\d+)?) ?(B|kB|KB|MB)?$/.exec(text) ?? [];
    const count = Math.floor(Number(number) * (unit === "MB" ? 1e6 : unit === "" || unit === "B" ? 1 : 1e3));
    if (count >= 1) return count;
    throw new QdgError("usage", option, `got "${text}", expected a size such as 450kB, 1.5MB or 450000`);
  };
}

/** A parser of bits for commander. */
export function bitCount(option: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= MIN_BITS && value <= MAX_BITS) return value;
    throw new QdgError(
      "usage",
      option,
      `got "${text}", expected a whole number from ${MIN_BITS} to ${MAX_BITS}`,
    );
  };
}

/** One of a closed list. */
export function oneOf<T extends string>(option: string, values: readonly T[]): (text: string) => T {
  return (text) => {
    const value = values.find((candidate) => candidate === text);
    if (value !== undefined) return value;
    throw new QdgError("usage", option, `got "${text}", expected ${values.join(" or ")}`);
  };
}

/** Several of a closed list, separated by commas. */
export function listOf<T extends string>(option: string, values: readonly T[]): (text: string) => T[] {
  const parse = oneOf(option, values);
  return (text) => [...new Set(text.split(",").map((part) => parse(part.trim())))];
}

/** Names separated by commas, spaces around them left out. */
export function names(text: string): string[] {
  return text.split(",").map((name) => name.trim());
}

/** `224` or `192x256` (height x width). */
export function size(option: string): (text: string) => readonly [number, number] {
  return (text) => {
    const [, h, w] = /^(\d{1,5})(?:x(\d{1,5}))?$/.exec(text) ?? [];
    const height = Number(h);
    const width = Number(w ?? h);
    if (height >= 1 && width >= 1) return [height, width];
    throw new QdgError(
      "usage",
      option,
      `got "${text}", expected a size such as 224, or height x width: 192x256`,
    );
  };
}

/** `lo,hi`, JSON, or the path of a JSON file. */
export async function preprocessing(text: string): Promise<Preprocessing> {
  if (text.toLowerCase().endsWith(".json")) return parsePreprocessing(await readText(text), text);
  return parsePreprocessing(text);
}

/**
 * Bits by layer: JSON, or the path of a JSON file.
 *
 * @param plain what a number sets: weights, or both
 */
export async function layerBits(text: string, plain: "weights" | "both"): Promise<Record<string, LayerBits>> {
  if (text.trimStart().startsWith("{")) return parseLayerBits(text, "--layer-bits", plain);
  return parseLayerBits(await readText(text), text, plain);
}

/** A text file without its byte-order mark. @throws QdgError `not-found` */
export async function readText(path: string): Promise<string> {
  return (await readBytes(path)).toString("utf8").replace(/^\uFEFF/, "");
}
