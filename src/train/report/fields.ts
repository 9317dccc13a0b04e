// Fields of parsed JSON, checked one by one: what is not as expected is an error that names the place.

import { QdgError } from "../../base/error.js";

export type JsonObject = Readonly<Record<string, unknown>>;

function fail(where: string, got: unknown, expected: string): never {
  const text = got === undefined ? "nothing" : typeof got === "number" ? String(got) : jsonText(got);
  const short = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  throw new QdgError("invalid-data", where, `got ${short}, expected ${expected}`);
}

function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    // Deeper than the stack, which parsing is not.
    return Array.isArray(value) ? "a list of lists" : "an object of objects";
  }
}

export function objectOf(value: unknown, where: string): JsonObject {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  return fail(where, value, "an object");
}

export function listOf(value: unknown, where: string): readonly unknown[] {
  return Array.isArray(value) ? value : fail(where, value, "a list");
}

export function textOf(value: unknown, where: string): string {
  return typeof value === "string" ? value : fail(where, value, "text");
}

/** A finite number; JSON has no other, but 1e999 is read as infinite. */
export function numberOf(value: unknown, where: string): number {
  return typeof value === "number" && Number.isFinite(value) ? value : fail(where, value, "a finite number");
}

/** null where it is absent or null, which is how JSON writes NaN. */
export function numberOrNull(value: unknown, where: string): number | null {
  return value === undefined || value === null ? null : numberOf(value, where);
}

export function countOf(value: unknown, where: string): number {
  return Number.isSafeInteger(value) && (value as number) >= 0
    ? (value as number)
    : fail(where, value, "a whole number >= 0");
}

export function shareOf(value: unknown, where: string): number {
  const number = numberOf(value, where);
  return number >= 0 && number <= 1 ? number : fail(where, value, "a number from 0 to 1");
}

export function shareOrNull(value: unknown, where: string): number | null {
  return value === undefined || value === null ? null : shareOf(value, where);
}

export function oneOf<T extends string>(value: unknown, known: readonly T[], where: string): T {
  return known.find((each) => each === value) ?? fail(where, value, known.join(" or "));
}
