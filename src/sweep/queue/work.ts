// A worker: takes jobs out of the queue one after the other, trains them in processes of their own, leaves checkpoints
// for others and gives results back. It may be killed at any time; its jobs go to another worker then.

import { hostname } from "node:os";
import { setTimeout } from "node:timers/promises";
import type { Queue, Worker } from "bullmq";
import { errorText, QdgError } from "../../base/error.js";
import type { JobEnd, RunTrain } from "../run-job.js";
import { connect, type Connection, isOfConnection, PREFIX, queueName } from "./connection.js";
import { deferred } from "./deferred.js";
import { parseMessage } from "./job-message.js";
import { workOne } from "./work-one.js";
import { removeWorkFolder } from "./work-folder.js";

export interface WorkOptions {
  readonly redis: string;
  readonly queue?: string;
  /** At once. */
  readonly jobs: number;
  readonly threads?: number;
  /** Where runs lie while they are trained. */
  readonly folder: string;
  /** What relative paths of jobs are relative to here; the folder on the machine of the sweep where absent. */
  readonly base?: string;
  /** Of decoded images. */
  readonly cache?: string;
  /** A worker that is silent for as long loses its jobs. */
  readonly lockSeconds: number;
  /** End once no job waits or runs. */
  readonly untilEmpty: boolean;
  readonly runTrain: RunTrain;
  readonly observer: WorkObserver;
  readonly signal: AbortSignal;
}

export interface WorkObserver {
  note(text: string): void;
  /** @param shown the URL of Redis without a password */
  listening(shown: string): void;
  started(name: string, goesOn: boolean): void;
  ended(name: string, end: JobEnd): void;
}

/** A job that this worker has. */
interface Running {
  readonly lost: AbortController;
  /** Its process has ended. */
  readonly trained: Promise<void>;
  readonly done: Promise<unknown>;
}

/** Between two looks whether anything is left to do. */
const EMPTY_MS = 500;
/** For the last words to Redis, which may be away: others take the jobs over anyway. */
const CLOSE_MS = 20_000;
const CLOSE_AWAY_MS = 500;

/**
 * Works until the signal is aborted; jobs save their checkpoints then and go back into the queue.
 *
 * @throws QdgError `usage`; `unavailable` without BullMQ, or where Redis refuses
 */
export async function work(options: WorkOptions): Promise<void> {
  const { observer, signal } = options;
  const name = queueName(options.queue);
  const connection = await connect(options.redis, (note) => observer.note(note));
  const running = new Map<string, Running>();
  const worker = makeWorker(options, connection, name, running);
  const queue = new connection.bullmq.Queue<unknown>(name, { connection: connection.redis, prefix: PREFIX });
  queue.on("error", () => undefined);
  try {
    await connection.within(worker.waitUntilReady(), signal);
    observer.listening(connection.shown);
    // What goes wrong in it is an event.
    const loop = worker.run().catch(() => undefined);
    await connection.within(options.untilEmpty ? untilEmpty(queue) : loop, signal);
  } catch (thrown) {
    if (!(thrown instanceof QdgError) || thrown.code !== "interrupted") throw thrown;
  } finally {
    const closed = worker.close().catch(() => undefined);
    await Promise.all([...running.values()].map(({ trained }) => trained));
    const waitMs = connection.isAway() ? CLOSE_AWAY_MS : CLOSE_MS;
    await Promise.race([closed, setTimeout(waitMs, undefined, { ref: false })]);
    connection.close();
  }
}

function makeWorker(
  options: WorkOptions,
  connection: Connection,
  queue: string,
  running: Map<string, Running>,
): Worker<unknown> {
  const { observer, lockSeconds } = options;
  const lockMs = Math.round(1000 * lockSeconds);
  const worker = new connection.bullmq.Worker<unknown>(
    queue,
    async (job, token = "") => {
      const id = job.id ?? "";
      // Lost and got again: the run of before is in the folder still.
      const before = running.get(id);
      before?.lost.abort();
      await before?.done;
      const lost = new AbortController();
      const { promise: trained, resolve: onTrained } = deferred<void>();
      const done = workOne({ options, connection, queue, job, token, lockMs, lost: lost.signal, onTrained });
      running.set(id, { lost, trained, done: done.catch(() => undefined) });
      try {
        return await done;
      } finally {
        onTrained();
        if (running.get(id)?.lost === lost) running.delete(id);
      }
    },
    {
      connection: connection.redis,
      prefix: PREFIX,
      name: hostname(),
      concurrency: options.jobs,
      lockDuration: lockMs,
      stalledInterval: lockMs / 2,
      // Workers come and go; what counts is how often a job has ended its own process.
      maxStalledCount: 1_000_000,
      autorun: false,
    },
  );
  worker.on("lockRenewalFailed", (ids) => {
    for (const id of ids) {
      const run = running.get(id);
      if (!run || run.lost.signal.aborted) continue;
      observer.note(
        `${id} is stopped here: Redis has not heard of it for too long, and gives it to any worker`,
      );
      run.lost.abort();
    }
  });
  worker.on("completed", (job) => {
    void removeWorkFolder(options.folder, parseMessage(job.data, "job"));
  });
  const said = new Set<string>();
  worker.on("error", (thrown) => {
    const text = errorText(thrown);
    // The connection tells of itself, and of locks it is told above.
    if (isOfConnection(thrown) || /lock/i.test(text) || said.has(text)) return;
    said.add(text);
    observer.note(text);
  });
  return worker;
}

async function untilEmpty(queue: Queue<unknown>): Promise<void> {
  for (;;) {
    const counts = await queue.getJobCounts("wait", "active", "delayed", "prioritized");
    if (Object.values(counts).every((count) => count === 0)) return;
    await setTimeout(EMPTY_MS);
  }
}
