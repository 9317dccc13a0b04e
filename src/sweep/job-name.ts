// What a job is called, and so its run folder: the values of its grid, in the grid's order. The same grid gives the
// same names, and a list that gets longer leaves those that were there.

import { createHash } from "node:crypto";
import { canonicalJson } from "./job.js";

/** Of one value, in characters. */
const MOST = 40;

/**
 * `gaqat-sketch-bits3-seed0`: methods and domains speak for themselves, every other value stands behind its option.
 * What is no word (a path, an object) becomes its end and six digits of its SHA-256.
 */
export function jobName(values: readonly (readonly [option: string, value: unknown])[]): string {
  const parts = values.map(([option, value]) => {
    const text = Array.isArray(value) ? value.map(word).join("+") : word(value);
    return option === "method" || option === "testDomain" ? text : `${option}${separator(text)}${text}`;
  });
  const name = parts.join("-");
  return name.length <= 150 ? name : `${name.slice(0, 130)}-${digest(name)}`;
}

/** `seed0`, `rho0.05`, but `schedule_cosine`. */
function separator(text: string): string {
  return /^\d/.test(text) ? "" : "_";
}

function word(value: unknown): string {
  const text = typeof value === "object" ? canonicalJson(value) : `${value as string | number | boolean}`;
  if (text.length <= MOST && /^[A-Za-z0-9][\w.]*$/.test(text)) return text;
  const end = text
    .slice(-MOST)
    .replaceAll(/[^\w.]+/g, "_")
    .replace(/^[^A-Za-z0-9]+/, "");
  return `${end === "" ? "" : `${end}_`}${digest(text)}`;
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 6);
}
