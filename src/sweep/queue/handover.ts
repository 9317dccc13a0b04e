// What one worker leaves for another: after each checkpoint the run folder goes to Redis, and whoever takes the job over
// begins with it. One upload at a time; only the worker that has the job may leave anything.

import { join } from "node:path";
import { errorText } from "../../base/error.js";
import { writeFilesAtomic } from "../../base/atomic-file.js";
import { RUN_FILES } from "../../train/run/run-folder.js";
import type { SweepJob } from "../job.js";
import { OUTPUT } from "../run-job.js";
import { parseStored, storedOf, type StoredFiles } from "./job-message.js";
import { getFile, getState, putFiles, removeFiles, setState, type StorePlace } from "./stored-files.js";

/** The checkpoint first: logs may be longer than it says, and are cut back, but never shorter. */
const LEFT: readonly string[] = [
  "checkpoint.bin",
  ...RUN_FILES.filter((name) => name.endsWith(".jsonl")),
  OUTPUT,
];

/** Of a finished run: nobody goes on with it. */
const RESULT: readonly string[] = [...RUN_FILES.filter((name) => name !== "checkpoint.bin"), OUTPUT];

export interface HandoverOptions {
  readonly place: StorePlace;
  readonly job: SweepJob;
  readonly folder: string;
  /** Whether this worker has the job still; asked right before anything counts. */
  readonly isOurs: () => Promise<boolean>;
  readonly onNote: (note: string) => void;
}

export class Handover {
  readonly #options: HandoverOptions;
  #running: Promise<void> | null = null;
  #isDue = false;
  /** Told once: the next checkpoint is as large. */
  #hasFailed = false;

  constructor(options: HandoverOptions) {
    this.#options = options;
  }

  /**
   * Brings the folder to where the last worker left the job; nothing where there is nothing in Redis. What is damaged is
   * told and left out.
   */
  async fetch(): Promise<void> {
    const { place, job, folder, onNote } = this.#options;
    const state = await getState(place);
    if (state === null) return;
    try {
      const stored = parseStored(state, job, `the checkpoint of ${job.name} in Redis`);
      const files: { path: string; bytes: Buffer }[] = [];
      for (const file of stored.files) {
        files.push({ path: join(folder, file.name), bytes: await getFile(place, stored.upload, file) });
      }
      // The checkpoint last: with it the folder counts as one to go on from.
      await writeFilesAtomic(files.reverse(), { force: true });
    } catch (thrown) {
      onNote(`${errorText(thrown)}; ${job.name} goes on without it`);
    }
  }

  /** A checkpoint is whole. Returns at once. */
  checkpointSaved(): void {
    this.#isDue = true;
    this.#running ??= this.#leave().finally(() => (this.#running = null));
  }

  /** Until all that was saved is in Redis. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** @returns what the coordinator is told of a finished run */
  async giveBack(): Promise<object> {
    const { place, job, folder } = this.#options;
    await this.settled();
    return storedOf(job, await putFiles(place, folder, RESULT));
  }

  async #leave(): Promise<void> {
    const { place, job, folder, isOurs, onNote } = this.#options;
    while (this.#isDue) {
      this.#isDue = false;
      try {
        const stored = await putFiles(place, folder, LEFT);
        if (!(await isOurs())) {
          await removeFiles(place, stored);
          return;
        }
        const before = await getState(place).catch(() => null);
        await setState(place, storedOf(job, stored));
        await removeFiles(place, parsedOrNothing(before, job));
      } catch (thrown) {
        if (!this.#hasFailed)
          onNote(
            `${errorText(thrown)}; should this worker end, ${job.name} goes on from an earlier checkpoint`,
          );
        this.#hasFailed = true;
      }
    }
  }
}

function parsedOrNothing(state: unknown, job: SweepJob): StoredFiles {
  try {
    return parseStored(state, job, "");
  } catch {
    return { upload: "", files: [] };
  }
}
