// Bits of layers by name as users write them, in JSON of a file or of a command line. What becomes of them is for
// recipe.ts.

import { errorText, QdgError } from "../base/error.js";
import type { LayerBits } from "./recipe.js";

/**
 * `{"layer": {"weightBits": 4, "activationBits": 8}, "other*": 4}`.
 *
 * @param plain what a number sets: weights, or both
 * @throws QdgError `invalid-json`, `invalid-quantization`
 */
export function parseLayerBits(
  text: string,
  where: string,
  plain: "weights" | "both",
): Record<string, LayerBits> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (thrown) {
    throw new QdgError("invalid-json", where, `is not JSON (${errorText(thrown)})`, { cause: thrown });
  }
  return checkedLayerBits(parsed, where, plain);
}

/** The same of JSON that is parsed already. @throws QdgError `invalid-quantization` */
export function checkedLayerBits(
  parsed: unknown,
  where: string,
  plain: "weights" | "both",
): Record<string, LayerBits> {
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) throw wrong(where, parsed);
  return Object.fromEntries(
    Object.entries(parsed).map(([layer, bits]) => [layer, layerEntry(`${where}: ${layer}`, bits, plain)]),
  );
}

function layerEntry(where: string, bits: unknown, plain: "weights" | "both"): LayerBits {
  if (typeof bits === "number") {
    return plain === "both" ? { weightBits: bits, activationBits: bits } : { weightBits: bits };
  }
  if (typeof bits !== "object" || bits === null) throw wrong(where, bits);
  for (const [key, value] of Object.entries(bits)) {
    if ((key !== "weightBits" && key !== "activationBits") || typeof value !== "number")
      throw wrong(where, bits);
  }
  return bits;
}

function wrong(where: string, got: unknown): QdgError {
  return new QdgError(
    "invalid-quantization",
    where,
    `got ${JSON.stringify(got)}, expected {"layer": bits} or {"layer": {"weightBits": b, "activationBits": b}}`,
  );
}
