// The arrays of several states in one: each part's under a prefix of its own.

import type { MethodState } from "../methods/method.js";

type Arrays = MethodState["arrays"];

export function prefixed(arrays: Arrays, prefix: string): Record<string, Float32Array> {
  return Object.fromEntries(Object.entries(arrays).map(([name, array]) => [prefix + name, array]));
}

/** Those of one part, by the names that they have there. */
export function unprefixed(arrays: Arrays, prefix: string): Record<string, Float32Array> {
  const found = Object.entries(arrays).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(found.map(([name, array]) => [name.slice(prefix.length), array]));
}
