// What a sweep tells while it works. Library code prints nothing: the command line decides what to show.

import type { JobState } from "./job-record.js";
import type { SweepJob } from "./job.js";

/** Of the kept model, 0 to 1; null where it was not measured. */
export interface JobAccuracy {
  readonly validation: number | null;
  readonly heldOut: number | null;
}

export interface SweepObserver {
  /** One thing that the user may want to know. */
  note(text: string): void;
  /** Before the first job runs: how many are done already. */
  planned(jobs: number, finished: number): void;
  /** @param state "begun": goes on; @param host of a worker elsewhere */
  started(job: SweepJob, state: JobState, host?: string): void;
  /** @param notes lines of notes in the output of the run */
  finished(job: SweepJob, accuracy: JobAccuracy, notes: number): void;
  failed(job: SweepJob, message: string): void;
}

export const silentSweepObserver: SweepObserver = {
  note: () => undefined,
  planned: () => undefined,
  started: () => undefined,
  finished: () => undefined,
  failed: () => undefined,
};
