// The engine of this machine: so many processes of `qdg train` at once. A sweep that was stopped, or killed, goes on
// where its checkpoints are.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { errorText, QdgError } from "../../base/error.js";
import { takeLock } from "../../base/process-lock.js";
import { type JobState, jobState } from "../job-record.js";
import { resolvedOptions, type SweepJob } from "../job.js";
import { runAccuracy } from "../run-accuracy.js";
import { runJob } from "../run-job.js";
import type { Engine, EngineContext, EngineResult } from "./engine.js";

export const localEngine: Engine = {
  name: "local",
  help: "processes of this machine",
  settings: [],
  run: runLocally,
};

async function runLocally(context: EngineContext): Promise<EngineResult> {
  const { sweep, out, observer, signal } = context;
  await mkdir(out, { recursive: true });
  const lock = await takeLock(join(out, "sweep.lock"), out);
  try {
    const states = await statesOf(context);
    const open = sweep.jobs.filter((job) => states.get(job) !== "finished");
    let finished = sweep.jobs.length - open.length;
    let failed = 0;
    observer.planned(sweep.jobs.length, finished);
    let next = 0;
    const work = async (): Promise<void> => {
      while (!signal.aborted && next < open.length) {
        const job = open[next++] as SweepJob;
        const ended = await runOne(context, job, states.get(job) as JobState);
        if (ended === "finished") finished++;
        else if (ended === "failed") failed++;
      }
    };
    await Promise.all(Array.from({ length: Math.min(context.jobs, open.length) }, work));
    return { finished, failed, stopped: signal.aborted && finished + failed < sweep.jobs.length, files: [] };
  } finally {
    await lock.release();
  }
}

/** Of every job, so that what does not belong here is said before the first one runs. */
export async function statesOf({
  sweep,
  out,
}: Pick<EngineContext, "sweep" | "out">): Promise<Map<SweepJob, JobState>> {
  const states = new Map<SweepJob, JobState>();
  for (const job of sweep.jobs) states.set(job, await jobState(join(out, job.name), job));
  return states;
}

/** One job of a sweep and what is told of it. */
export async function runOne(
  { sweep, out, threads, runTrain, observer, signal }: EngineContext,
  job: SweepJob,
  state: JobState,
): Promise<"finished" | "failed" | "stopped"> {
  const folder = join(out, job.name);
  observer.started(job, state);
  try {
    const end = await runJob({
      job,
      options: resolvedOptions(job.options, sweep.base),
      folder,
      ...(threads !== undefined && { threads }),
      runTrain,
      signal,
    });
    if (end.state === "finished") observer.finished(job, await runAccuracy(folder), end.notes);
    else if (end.state === "failed") observer.failed(job, end.message);
    return end.state;
  } catch (thrown) {
    // The others may do better.
    if (!(thrown instanceof QdgError) || thrown.code === "internal") throw thrown;
    observer.failed(job, errorText(thrown));
    return "failed";
  }
}
