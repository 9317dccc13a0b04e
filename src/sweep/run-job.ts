// Runs one job in its folder by a process of `qdg train`: begun anew, or resumed from the checkpoint that is there.
// How a process is started is the caller's; a job that is finished is never run again.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { AskedTrainOptions } from "../train/run/train-options.js";
import type { SweepJob } from "./job.js";
import { isThere, jobState, writeJobRecord } from "./job-record.js";
import { trainArguments } from "./train-arguments.js";

/** How a process of `qdg train` ended. */
export interface TrainEnd {
  /** null: by a signal. */
  readonly code: number | null;
  /** As `SIGKILL`; null where it ended by itself. */
  readonly signal: string | null;
  /** What it said was wrong; null where it said nothing. */
  readonly error: string | null;
  /** Lines that begin with `note:`. */
  readonly notes: number;
}

export interface TrainCall {
  /** Behind `qdg train`. */
  readonly args: readonly string[];
  /** What the process says is added to this file. */
  readonly output: string;
  /** Aborted: it is asked to save and to end. */
  readonly signal: AbortSignal;
  /** A checkpoint of `step` is whole. */
  readonly onSaved?: (step: number) => void;
}

/** Runs `qdg train` to its end. It ends too when this process does, however that ends. */
export type RunTrain = (call: TrainCall) => Promise<TrainEnd>;

export type JobEnd =
  | { readonly state: "finished"; readonly notes: number }
  /** By the signal; the checkpoint is saved. */
  | { readonly state: "stopped" }
  /** @param wasKilled by a signal that nobody here has sent: another try may end better */
  | { readonly state: "failed"; readonly message: string; readonly wasKilled: boolean };

export interface JobRun {
  readonly job: SweepJob;
  /** Those of the job with paths that lead somewhere from here. */
  readonly options: AskedTrainOptions;
  readonly folder: string;
  /** Of --threads, where the job says nothing of them. */
  readonly threads?: number;
  readonly runTrain: RunTrain;
  readonly signal: AbortSignal;
  readonly onSaved?: (step: number) => void;
}

/** What a process of `qdg train` has said, in the run folder. */
export const OUTPUT = "output.txt";

/** @throws QdgError as jobState, before anything is changed; `io` */
export async function runJob(run: JobRun): Promise<JobEnd> {
  const { job, folder, threads, signal } = run;
  if ((await jobState(folder, job)) === "finished") return { state: "finished", notes: 0 };
  await mkdir(folder, { recursive: true });
  await writeJobRecord(folder, job, "begun");
  // Without a checkpoint, what is there is of a run that has not come far, and is the job's own.
  const goesOn = await isThere(join(folder, "checkpoint.bin"));
  const options = threads === undefined ? run.options : { threads, ...run.options };
  const end = await run.runTrain({
    args: [...trainArguments(options), `--out=${folder}`, goesOn ? "--resume" : "--force"],
    output: join(folder, OUTPUT),
    signal,
    ...(run.onSaved && { onSaved: run.onSaved }),
  });
  if (end.code === 0) {
    await writeJobRecord(folder, job, "finished");
    return { state: "finished", notes: end.notes };
  }
  if (signal.aborted) return { state: "stopped" };
  if (end.signal !== null) {
    const message = `its process was ended by ${end.signal}, by somebody else or for want of memory`;
    return { state: "failed", message, wasKilled: true };
  }
  const message = end.error ?? `qdg train ended with code ${end.code}`;
  return { state: "failed", message, wasKilled: false };
}
