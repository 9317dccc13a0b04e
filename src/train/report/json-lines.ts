// Reads the files of a run folder: JSON, and JSON a line. The files are anyone's: sizes before reading, places
// in messages, and a last line that a killed run left half-written is left out and told, never guessed at.

import { open } from "node:fs/promises";
import { errorText, QdgError } from "../../base/error.js";

/** A long run with scales a channel writes some ten megabytes; parsed, this many still fit in memory. */
const MOST_BYTES = 256 * 2 ** 20;

export interface JsonLine {
  /** `file:line`, for messages. */
  readonly where: string;
  readonly value: unknown;
}

/** @throws QdgError `not-found`, `io`; `invalid-data` for no plain file, or one too large; `invalid-json` */
export async function readJson(path: string): Promise<unknown> {
  const text = await readText(path);
  if (text === null) throw new QdgError("not-found", path, "there is no such file");
  return parse(text, path);
}

/**
 * A file of one JSON value a line; no lines where there is no file.
 *
 * @param use is called with each line, so that no more is kept than is needed
 * @returns notes: what was left out
 * @throws QdgError `invalid-json` for any line but the last that is not JSON, and what `use` throws
 */
export async function readJsonLines(path: string, use: (line: JsonLine) => void): Promise<string[]> {
  const text = await readText(path);
  if (text === null) return [];
  const notes: string[] = [];
  let number = 0;
  for (let start = 0; start < text.length;) {
    number++;
    const end = text.indexOf("\n", start);
    const line = text.slice(start, end < 0 ? text.length : end);
    start = end < 0 ? text.length : end + 1;
    if (line.trim() === "") continue;
    const where = `${path}:${number}`;
    let value: unknown;
    try {
      value = parse(line, where);
    } catch (thrown) {
      if (end >= 0) throw thrown;
      notes.push(
        `${where}: the last line is half-written and is left out; the run was stopped or is writing it`,
      );
      break;
    }
    use({ where, value });
  }
  return notes;
}

/** null: there is no such file. */
async function readText(path: string): Promise<string | null> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, "r");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw unreadable(path, thrown);
  }
  try {
    const found = await file.stat();
    if (!found.isFile()) throw new QdgError("invalid-data", path, "is no plain file, expected one of a run");
    if (found.size > MOST_BYTES) {
      throw new QdgError(
        "invalid-data",
        path,
        `got ${found.size} bytes, expected at most ${MOST_BYTES}; log less often (--log-every)`,
      );
    }
    // As many bytes as were looked at: a file that grows meanwhile ends in a half-written line at worst.
    const bytes = Buffer.alloc(found.size);
    let length = 0;
    while (length < bytes.length) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length, length);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    return bytes.toString("utf8", 0, length).replace(/^\uFEFF/, "");
  } catch (thrown) {
    throw unreadable(path, thrown);
  } finally {
    await file.close();
  }
}

function parse(text: string, where: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (thrown) {
    throw new QdgError("invalid-json", where, `is not JSON: ${errorText(thrown)}`, { cause: thrown });
  }
}

function unreadable(path: string, thrown: unknown): QdgError {
  if (thrown instanceof QdgError) return thrown;
  return new QdgError("io", path, `cannot be read: ${errorText(thrown)}`, { cause: thrown });
}
