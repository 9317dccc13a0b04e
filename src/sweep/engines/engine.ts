// What an engine is: it brings every job of a sweep to its end, or writes files by which something else does.

import type { SweepObserver } from "../observer.js";
import type { RunTrain } from "../run-job.js";
import type { Sweep } from "../job.js";

/** What only some engines ask for; as given on the command line. */
export interface EngineSettings {
  /** bullmq: `redis://...` */
  readonly redis?: string;
  /** bullmq: workers of this name take the jobs. */
  readonly queue?: string;
  /** slurm, kubernetes: the file to write. */
  readonly output?: string;
  readonly force?: boolean;
  readonly cpus?: number;
  /** As `4G`. */
  readonly memory?: string;
  /** Of one job, as `2h` or `90m`. */
  readonly time?: string;
  readonly partition?: string;
  readonly image?: string;
  /** `claim:/path`. */
  readonly volume?: string;
  readonly namespace?: string;
}

export interface EngineContext {
  readonly sweep: Sweep;
  /** The sweep file, as given. */
  readonly path: string;
  /** Run folders are below it. */
  readonly out: string;
  /** At once. */
  readonly jobs: number;
  readonly threads?: number;
  readonly settings: EngineSettings;
  /** This very qdg, as a command: for files that others run. */
  readonly program: readonly string[];
  readonly runTrain: RunTrain;
  readonly observer: SweepObserver;
  readonly signal: AbortSignal;
}

export interface EngineResult {
  /** Jobs that are done, those of former calls too. */
  readonly finished: number;
  readonly failed: number;
  /** By the signal. */
  readonly stopped: boolean;
  /** Files by which the jobs are run elsewhere; empty where they were run. */
  readonly files: readonly string[];
  /** What to do with the files. */
  readonly next?: string;
}

export interface Engine {
  readonly name: string;
  readonly help: string;
  /** Settings beside those that every engine takes. Others are refused, since they would say nothing. */
  readonly settings: readonly (keyof EngineSettings)[];
  run(context: EngineContext): Promise<EngineResult>;
}
