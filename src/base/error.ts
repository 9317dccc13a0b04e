// The one error class of qdg and its closed set of codes. A message says where, what, got against
// expected, and the remedy, so that it can be printed as it is.

import { printable, printableMessage } from "./printable.js";

export type QdgErrorCode =
  | "usage"
  | "not-found"
  | "exists"
  | "io"
  | "interrupted"
  | "invalid-json"
  | "invalid-model"
  | "invalid-path"
  | "invalid-weights"
  | "invalid-data"
  | "invalid-quantization"
  | "invalid-graph"
  | "invalid-onnx"
  | "unsupported-model"
  | "unsupported-layer"
  | "unsupported-op"
  | "unavailable"
  | "runtime"
  | "internal";

/**
 * An error that a user can act on. `message` is one line: `where: what [code]`, of which no name or value out of a file
 * takes more than MAX_ECHO characters, and none drives a terminal (printable.ts).
 *
 * @param code one of the closed set above
 * @param where the layer, file or option at fault, as the user knows it
 * @param what what is wrong, "got ..., expected ...", then the remedy
 */
export class QdgError extends Error {
  readonly code: QdgErrorCode;
  readonly where: string;

  constructor(code: QdgErrorCode, where: string, what: string, options?: ErrorOptions) {
    const place = printable(where);
    super(`${place}: ${printableMessage(what)} [${code}]`, options);
    this.name = "QdgError";
    this.code = code;
    this.where = place;
  }
}

/** The text of whatever was thrown, on one line. */
export function errorText(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return text.split("\n", 1)[0] ?? text;
}
