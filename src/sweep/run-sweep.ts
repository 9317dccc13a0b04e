// A sweep from its jobs to its table, by the engine of a name.

import { QdgError } from "../base/error.js";
import type { SweepTable } from "../train/report/sweep-table.js";
import type { EngineContext, EngineResult } from "./engines/engine.js";
import { ENGINES } from "./engines/engines.js";
import type { Sweep } from "./job.js";
import { silentSweepObserver } from "./observer.js";

export interface SweepOptions extends Pick<EngineContext, "path" | "out" | "runTrain" | "program"> {
  readonly sweep: Sweep;
  /** `local` where absent. */
  readonly engine?: string;
  /** At once; 1 where absent. */
  readonly jobs?: number;
  readonly threads?: number;
  readonly settings?: EngineContext["settings"];
  readonly observer?: EngineContext["observer"];
  readonly signal?: AbortSignal;
  /** A method that others are compared with; the first one where absent. */
  readonly baseline?: string;
}

export interface SweepResult extends EngineResult {
  /** null where files were written, and where no run is finished. */
  readonly table: SweepTable | null;
}

/**
 * Runs every job that is not finished, or writes the files by which a cluster does, and makes the table of the runs that
 * are. Jobs that fail are counted and told to the observer.
 *
 * @throws QdgError `usage` for an engine that there is not, and for settings; `exists` for folders of other sweeps, versions
 * and options; `unavailable` where another process has the folder, or without what the engine needs; `io`
 */
export async function runSweep(options: SweepOptions): Promise<SweepResult> {
  const { sweep, out, engine: name = "local", baseline } = options;
  const engine = ENGINES.find((each) => each.name === name);
  if (!engine) {
    const known = ENGINES.map((each) => each.name).join(" or ");
    throw new QdgError("usage", "engine", `got "${name}", expected ${known}`);
  }
  const result = await engine.run({
    jobs: 1,
    settings: {},
    observer: silentSweepObserver,
    signal: new AbortController().signal,
    ...options,
  });
  if (result.files.length > 0) return { ...result, table: null };
  const { sweepResults } = await import("./sweep-results.js");
  return { ...result, table: await sweepResults(sweep, out, baseline) };
}
