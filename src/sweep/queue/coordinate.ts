// The side of the queue that a sweep is started on: puts jobs into Redis, waits for workers, and brings results into the
// run folders. It may be stopped and started again; jobs go on meanwhile.

import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { Job, Queue } from "bullmq";
import { errorText, QdgError } from "../../base/error.js";
import { takeLock } from "../../base/process-lock.js";
import type { EngineContext, EngineResult } from "../engines/engine.js";
import { statesOf } from "../engines/local.js";
import type { SweepJob } from "../job.js";
import { runAccuracy } from "../run-accuracy.js";
import { OUTPUT } from "../run-job.js";
import { connect, type Connection, PREFIX, queueName } from "./connection.js";
import { checkSame, jobId, messageOf, parseStored } from "./job-message.js";
import { placeResult } from "./place-result.js";
import { getState, removeFiles, removeState, type StorePlace } from "./stored-files.js";

/** Between two looks at all jobs. */
const LOOK_MS = 500;
/** Workers have as long to come before it is said that there are none. */
const LOOKS_WITHOUT_WORKERS = 10;
/** Of a job whose own process is killed again and again. */
const TRIES = 5;

/** @throws QdgError `usage`; `exists` for results and jobs of others; `unavailable` without BullMQ, or where Redis refuses */
export async function coordinate(context: EngineContext): Promise<EngineResult> {
  const { sweep, out, observer, settings, signal } = context;
  await mkdir(out, { recursive: true });
  const lock = await takeLock(join(out, "sweep.lock"), out);
  try {
    const states = await statesOf(context);
    const open = sweep.jobs.filter((job) => states.get(job) !== "finished");
    const finished = sweep.jobs.length - open.length;
    observer.planned(sweep.jobs.length, finished);
    if (open.length === 0) return { finished, failed: 0, stopped: false, files: [] };
    const name = queueName(settings.queue);
    const connection = await connect(settings.redis ?? "", (note) => observer.note(note));
    const queue = new connection.bullmq.Queue<unknown>(name, {
      connection: connection.redis,
      prefix: PREFIX,
    });
    queue.on("error", () => undefined);
    const watch = new Coordinator(context, connection, queue, open);
    try {
      await watch.run();
    } catch (thrown) {
      if (!(thrown instanceof QdgError) || thrown.code !== "interrupted") throw thrown;
    } finally {
      connection.close();
    }
    const { ended } = watch;
    const stopped = signal.aborted && ended.finished + ended.failed < open.length;
    if (stopped && watch.hasAdded) observer.note("jobs stay in the queue, and workers go on with them");
    return { finished: finished + ended.finished, failed: ended.failed, stopped, files: [] };
  } finally {
    await lock.release();
  }
}

class Coordinator {
  readonly ended: { finished: number; failed: number } = { finished: 0, failed: 0 };
  /** Whether the jobs are in Redis. */
  hasAdded = false;
  readonly #context: EngineContext;
  readonly #connection: Connection;
  readonly #queue: Queue<unknown>;
  readonly #open: Map<string, SweepJob>;
  /** When the worker that was told of last has begun with a job. */
  readonly #told = new Map<string, string>();

  constructor(
    context: EngineContext,
    connection: Connection,
    queue: Queue<unknown>,
    jobs: readonly SweepJob[],
  ) {
    this.#context = context;
    this.#connection = connection;
    this.#queue = queue;
    this.#open = new Map(jobs.map((job) => [jobId(context.sweep.name, job.name), job]));
  }

  async run(): Promise<void> {
    const { signal } = this.#context;
    const wait = <T>(work: Promise<T>): Promise<T> => this.#connection.within(work, signal);
    // Of all jobs before one is put in.
    for (const [id, job] of this.#open) await wait(this.#checkThere(id, job));
    for (const [id, job] of this.#open) await wait(this.#add(id, job));
    this.hasAdded = true;
    for (let looks = 0; this.#open.size > 0; looks++) {
      for (const [id, job] of this.#open) await wait(this.#look(id, job));
      if (looks === LOOKS_WITHOUT_WORKERS) await wait(this.#lookForWorkers());
      if (this.#open.size > 0) await wait(setTimeout(LOOK_MS));
    }
  }

  /** What failed before is tried again. */
  async #checkThere(id: string, job: SweepJob): Promise<void> {
    const there = await this.#queue.getJob(id);
    if (!there) return;
    checkSame(there.data, job, this.#context.settings.queue ?? "qdg");
    if (await there.isFailed()) await there.remove();
  }

  /** Nothing where it is there already. */
  async #add(id: string, job: SweepJob): Promise<void> {
    const { sweep } = this.#context;
    await this.#queue.add("train", messageOf({ sweep: sweep.name, job, base: sweep.base }), {
      jobId: id,
      attempts: TRIES,
      backoff: { type: "fixed", delay: 1000 },
    });
  }

  async #look(id: string, job: SweepJob): Promise<void> {
    const { observer } = this.#context;
    const found = await this.#queue.getJob(id);
    if (!found) {
      observer.note(`${job.name} is no longer in Redis, which has lost or dropped it; it is put there again`);
      await this.#add(id, job);
      return;
    }
    this.#tellStarted(id, job, found);
    if (found.finishedOn === undefined) return;
    // The reason of an attempt that failed stays with a job that has done better since.
    const state = await found.getState();
    if (state !== "completed" && state !== "failed") return;
    this.#open.delete(id);
    if (state === "failed") this.#fail(job, found.failedReason ?? "for no reason that it gave");
    else if (!(await this.#collect(id, job, found))) return;
    await this.#clear(id, job, found, state);
  }

  #tellStarted(id: string, job: SweepJob, { progress }: Job<unknown>): void {
    const told = (typeof progress === "object" ? progress : {}) as Readonly<Record<string, unknown>>;
    const { host, goesOn, since } = told;
    if (typeof host !== "string" || typeof since !== "string" || this.#told.get(id) === since) return;
    this.#told.set(id, since);
    this.#context.observer.started(job, goesOn === true ? "begun" : "new", host);
  }

  /** @returns whether Redis need not keep it any longer */
  async #collect(id: string, job: SweepJob, { returnvalue }: Job<unknown>): Promise<boolean> {
    const { out, observer } = this.#context;
    const folder = join(out, job.name);
    try {
      const stored = parseStored(returnvalue, job, `the result of ${job.name}`);
      await placeResult(this.#place(id), stored, job, folder);
      observer.finished(job, await runAccuracy(folder), await notesIn(folder));
      this.ended.finished++;
      return true;
    } catch (thrown) {
      if (!(thrown instanceof QdgError)) throw thrown;
      // Where the fault is this machine's, the result is as good as before.
      const isOurs = thrown.code === "io" || thrown.code === "unavailable";
      this.#fail(job, `its result ${isOurs ? "stays in Redis" : "is refused"}: ${errorText(thrown)}`);
      return !isOurs;
    }
  }

  #fail(job: SweepJob, message: string): void {
    this.#context.observer.failed(job, message);
    this.ended.failed++;
  }

  /** What is here is not needed there, and what failed is computed anew by the next call. */
  async #clear(id: string, job: SweepJob, found: Job<unknown>, state: "completed" | "failed"): Promise<void> {
    const place = this.#place(id);
    const checkpoint = await getState(place).catch(() => null);
    // Of a job that failed the checkpoint stays: the next try goes on from it.
    for (const stored of state === "failed" ? [] : [found.returnvalue as unknown, checkpoint]) {
      try {
        if (stored !== null && stored !== undefined) await removeFiles(place, parseStored(stored, job, id));
      } catch (thrown) {
        // What is not ours in form goes by its own time.
        if (!(thrown instanceof QdgError)) throw thrown;
      }
    }
    if (state !== "failed") await removeState(place);
    await found.remove();
  }

  async #lookForWorkers(): Promise<void> {
    if ((await this.#queue.getWorkersCount()) > 0) return;
    const { observer, settings } = this.#context;
    const queue = settings.queue === undefined ? "" : ` --queue ${settings.queue}`;
    observer.note(
      `no worker of this version of qdg is there; start one on any machine: qdg work --redis ${this.#connection.shown}${queue}`,
    );
  }

  #place(id: string): StorePlace {
    return { redis: this.#connection.redis, queue: this.#queue.name, id };
  }
}

/** As many as the run has said wherever it was trained. */
async function notesIn(folder: string): Promise<number> {
  const text = await readFile(join(folder, OUTPUT), "utf8").catch(() => "");
  return text.match(/^note: /gm)?.length ?? 0;
}
