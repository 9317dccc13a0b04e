// Where a command says things and what it leaves as its exit code. `process` is one; tests have another.

import { printableLines } from "../base/printable.js";

/** stdout takes data, stderr everything else. */
export interface Terminal {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  /** Set by a command that ends well but not with 0. */
  exitCode?: number | string | null | undefined;
}

export interface TextSink {
  write(text: string): unknown;
}

/** Says something to a person: names out of files come in no form that a terminal obeys. Not for JSON. */
export function tell(sink: TextSink, text: string): void {
  sink.write(printableLines(text));
}
