// What a JSON text from elsewhere is checked with, value by value. Each check says where and what it got, in few
// words whatever was sent; none knows what the values mean.

import { QdgError } from "../base/error.js";
import { checkSide } from "../image/image.js";
import { MANIFEST_LIMITS } from "./manifest-limits.js";

/** An object with exactly these keys. */
export function record<K extends string>(
  json: unknown,
  keys: readonly K[],
  where: string,
): Readonly<Record<K, unknown>> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    return fail(where, `got ${shown(json)}, expected an object with ${keys.join(", ")}`);
  }
  for (const key of Object.keys(json)) {
    if ((keys as readonly string[]).includes(key)) continue;
    return fail(
      where,
      `unknown key "${key}", expected ${keys.join(", ")}; remove it, or take a newer qdg/web`,
    );
  }
  const missing = keys.find((key) => !Object.hasOwn(json, key));
  if (missing !== undefined) return fail(where, `no key "${missing}", expected ${keys.join(", ")}`);
  return json as Record<K, unknown>;
}

/** A list of `fewest` to `most` entries, whatever they are. */
export function list(value: unknown, fewest: number, most: number, where: string): readonly unknown[] {
  if (!Array.isArray(value) || value.length < fewest || value.length > most) {
    const got = Array.isArray(value) ? `${value.length} entries` : shown(value);
    return fail(where, `got ${got}, expected a list of ${fewest} to ${most}`);
  }
  return value;
}

/** SHA-256 as qdg writes it. */
export function hash(value: unknown, where: string): string {
  if (typeof value !== "string" || !/^[0-9a-f]{64}$/.test(value)) {
    return fail(where, `got ${shown(value)}, expected 64 hexadecimal digits in lower case`);
  }
  return value;
}

/** Base64 of up to `most` bytes. */
export function base64(value: unknown, most: number, where: string): string {
  const digits = 4 * Math.ceil(most / 3);
  if (
    typeof value !== "string" ||
    value.length > digits ||
    value.length % 4 !== 0 ||
    !/^[A-Za-z0-9+/]*={0,2}$/.test(value)
  ) {
    const got = typeof value === "string" ? `${value.length} characters` : shown(value);
    return fail(where, `got ${got}, expected base64 of up to ${most} bytes`);
  }
  return value;
}

export function finite(value: unknown, where: string): number {
  if (typeof value !== "number" || !Number.isFinite(value)) {
    return fail(where, `got ${shown(value)}, expected a finite number`);
  }
  return value;
}

export function integer(value: unknown, least: number, most: number, where: string): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    return fail(where, `got ${shown(value)}, expected an integer from ${least} to ${most}`);
  }
  return value;
}

/** A side of an image; see checkSide. */
export function side(value: unknown, where: string): number {
  const number = finite(value, where);
  checkSide(number, where);
  return number;
}

/** A text of 1 to MANIFEST_LIMITS.nameLength characters. */
export function text(value: unknown, where: string): string {
  const { nameLength } = MANIFEST_LIMITS;
  if (typeof value !== "string" || value.length === 0 || value.length > nameLength) {
    return fail(where, `got ${shown(value)}, expected a text of 1 to ${nameLength} characters`);
  }
  return value;
}

export function choice<T extends string>(value: unknown, among: readonly T[], where: string): T {
  const known = among.find((each) => each === value);
  if (known !== undefined) return known;
  return fail(where, `got ${shown(value)}, expected ${among.map((each) => `"${each}"`).join(" or ")}`);
}

/**
 * A file's name that cannot leave the folder it is looked up in, on any system or server: 1 to 200 letters,
 * digits, `.`, `_`, `-`; a letter or digit first; no `..`.
 *
 * @throws QdgError `invalid-path`
 */
export function checkFileName(value: unknown, where: string): string {
  const { nameLength } = MANIFEST_LIMITS;
  if (
    typeof value !== "string" ||
    value.length > nameLength ||
    !/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(value) ||
    value.includes("..")
  ) {
    throw new QdgError(
      "invalid-path",
      where,
      `got ${shown(value)}, expected the bare name of a file beside the manifest: up to ${nameLength} letters, digits, ".", "_", "-", and no ".."`,
    );
  }
  return value;
}

/** A value as a message shows it: short, whatever was sent. */
export function shown(value: unknown): string {
  const words = value === undefined ? "nothing" : textOf(value);
  return words.length > 60 ? `${words.slice(0, 60)}...` : words;
}

function textOf(value: unknown): string {
  // JSON has no word for infinity, which 1e999 becomes, for functions, nor for objects that hold themselves.
  if (typeof value === "function") return "a function";
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "symbol") {
    return String(value);
  }
  try {
    return JSON.stringify(value);
  } catch {
    return Object.prototype.toString.call(value);
  }
}

export function fail(where: string, what: string): never {
  throw new QdgError("invalid-data", where, what);
}
