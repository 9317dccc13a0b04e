// What a sweep says on stderr: a line when a job begins, and one when it has ended, with what it has come to.

import type { JobState } from "../sweep/job-record.js";
import type { SweepJob } from "../sweep/job.js";
import type { JobAccuracy, SweepObserver } from "../sweep/observer.js";
import { formatPercent } from "./format.js";
import { tell, type TextSink } from "./terminal.js";

export class SweepProgress implements SweepObserver {
  readonly #sink: TextSink;
  #jobs = 0;
  #ended = 0;

  constructor(sink: TextSink) {
    this.#sink = sink;
  }

  note(text: string): void {
    this.#say(`note: ${text}`);
  }

  planned(jobs: number, finished: number): void {
    this.#jobs = jobs;
    this.#ended = finished;
    this.#say(`${jobs} jobs${finished === 0 ? "" : `, ${finished} of them finished before`}`);
  }

  started(job: SweepJob, state: JobState, host?: string): void {
    const where = host === undefined ? "" : ` (${host})`;
    this.#say(`${job.name}: ${state === "new" ? "begins" : "goes on"}${where}`);
  }

  finished(job: SweepJob, { validation, heldOut }: JobAccuracy, notes: number): void {
    const said = notes === 0 ? "" : `; ${notes} ${notes === 1 ? "note" : "notes"} in its output.txt`;
    const held = heldOut === null ? "" : `, held out ${formatPercent(heldOut)}`;
    this.#end(`${job.name}: finished, validation ${formatPercent(validation)}${held}${said}`);
  }

  failed(job: SweepJob, message: string): void {
    this.#end(`${job.name}: FAILED: ${message}`);
  }

  #end(text: string): void {
    this.#ended++;
    this.#say(`[${this.#ended}/${this.#jobs}] ${text}`);
  }

  #say(line: string): void {
    tell(this.#sink, `${line}\n`);
  }
}
