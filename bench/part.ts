// What a part of the bench is. One file each in bench/parts/, listed in run.ts.

import type { Reporter } from "./reporter.js";
import type { Row } from "./row.js";

export interface PartContext {
  /** Hash of the code that is measured: part of the key of all that is kept between runs. */
  readonly code: string;
  /** Images that parity compares on. */
  readonly images: number;
  /** Few runs, to see that a part works: its numbers mean nothing and are not kept. */
  readonly smoke: boolean;
  readonly reporter: Reporter;
}

export interface Part {
  readonly title: string;
  /** How it is measured, for the reader of the table. @param rows what {@link run} gave, where it tells */
  method(context: PartContext, rows: readonly Row[]): string;
  run(context: PartContext): Promise<readonly Row[]>;
}
