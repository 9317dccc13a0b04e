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

/** What errors of the system mean to who reads them, by their codes. */
const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  EACCES: "permission denied; change the permissions of the file or of its folder",
  EPERM: "permission denied; change the permissions of the file or of its folder",
  EBUSY: "it is in use by another program",
  EDQUOT: "the quota of the disk is used up; free some space",
  EISDIR: "it is a folder, expected a file",
  ELOOP: "its links lead in a circle",
  EMFILE: "too many files are open; raise the limit (ulimit -n)",
  ENFILE: "too many files are open on this machine",
  ENAMETOOLONG: "its name is too long",
  ENOENT: "there is no such file or folder",
  ENOSPC: "the disk is full; free some space",
  ENOTDIR: "a part of its path is a file, not a folder",
  EROFS: "the file system is read-only",
};

/** The text of whatever was thrown, on one line: errors of the system and of JSON's parser in plain words. */
export function errorText(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown).split("\n", 1)[0] ?? "";
  const { code, syscall } = thrown as { readonly code?: unknown; readonly syscall?: unknown };
  const plain = typeof code === "string" && syscall !== undefined ? SYSTEM_ERRORS[code] : undefined;
  if (plain !== undefined) return plain;
  if (thrown instanceof SyntaxError && /JSON/.test(thrown.message)) return jsonErrorText(thrown.message);
  return thrown.message.split("\n", 1)[0] ?? "";
}

function jsonErrorText(message: string): string {
  if (message.startsWith("Unexpected end") || message.startsWith("Unterminated"))
    return "it ends in the middle";
  const position = /at position (\d+)/.exec(message)?.[1];
  return position === undefined
    ? "a character does not belong there"
    : `it goes wrong at character ${Number(position) + 1}`;
}
