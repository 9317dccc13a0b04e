// One job in the hands of a worker: what the last worker left is fetched, the run goes on from there, and it ends as
// finished, as failed, or back in the queue. Ends of jobs are told to BullMQ by what is thrown.

import { hostname } from "node:os";
import { join } from "node:path";
import type { Job } from "bullmq";
import { errorText, QdgError } from "../../base/error.js";
import { RunFolder } from "../../train/run/run-folder.js";
import { resolvedOptions } from "../job.js";
import { isThere, jobState } from "../job-record.js";
import { type JobEnd, runJob } from "../run-job.js";
import type { Connection } from "./connection.js";
import { Handover } from "./handover.js";
import { type JobMessage, parseMessage } from "./job-message.js";
import type { WorkOptions } from "./work.js";
import { workFolder } from "./work-folder.js";

export interface JobInHand {
  readonly options: WorkOptions;
  readonly connection: Connection;
  readonly queue: string;
  readonly job: Job<unknown>;
  /** That the job is this worker's. */
  readonly token: string;
  readonly lockMs: number;
  /** Aborted: the job is another worker's by now. */
  readonly lost: AbortSignal;
  /** Called when its process has ended; what is left to do is talk to Redis. */
  readonly onTrained: () => void;
}

/**
 * @returns what the coordinator is told
 * @throws errors of BullMQ: UnrecoverableError, the job has failed; WaitingError and DelayedError, it is in the queue again
 */
export async function workOne(hand: JobInHand): Promise<object> {
  const { options, connection, job, token } = hand;
  const { UnrecoverableError, WaitingError } = connection.bullmq;
  const { observer, signal } = options;
  let message: JobMessage;
  try {
    message = parseMessage(job.data, `job ${job.id ?? ""}`);
  } catch (thrown) {
    throw new UnrecoverableError(errorText(thrown));
  }
  const { name } = message.job;
  const { end, result } = await trainOne(hand, message).catch((thrown: unknown): Ended => {
    if (!(thrown instanceof QdgError)) throw thrown;
    return { end: { state: "failed", message: errorText(thrown), wasKilled: false }, result: {} };
  });
  // Nothing of it counts any more, and whose it is needs no word of ours.
  if (hand.lost.aborted) throw new WaitingError();
  observer.ended(name, end);
  if (end.state === "stopped") {
    await job.moveToWait(token);
    throw new WaitingError();
  }
  if (end.state === "failed") {
    const told = `${end.message} (on ${hostname()})`;
    throw end.wasKilled && !signal.aborted ? new Error(told) : new UnrecoverableError(told);
  }
  return result;
}

interface Ended {
  readonly end: JobEnd;
  /** Of a finished job. */
  readonly result: object;
}

async function trainOne(
  { options, connection, queue, job, token, lockMs, lost, onTrained }: JobInHand,
  message: JobMessage,
): Promise<Ended> {
  const { observer } = options;
  const { name } = message.job;
  const folder = workFolder(options.folder, message);
  const handover = new Handover({
    place: { redis: connection.redis, queue, id: job.id ?? "" },
    job: message.job,
    folder,
    isOurs: async () => !lost.aborted && (await job.extendLock(token, lockMs)) === 1,
    onNote: (note) => observer.note(note),
  });
  const lock = await RunFolder.lock(folder, () => undefined).catch(async (thrown: unknown) => {
    if (!(thrown instanceof QdgError) || thrown.code !== "unavailable") throw thrown;
    // As when a worker of this machine was killed a moment ago, and its process of training has not noticed yet.
    observer.note(`${errorText(thrown)}; ${name} is tried again`);
    await job.moveToDelayed(Date.now() + lockMs, token);
    throw new connection.bullmq.DelayedError();
  });
  try {
    // What is done here only has to be given back.
    if ((await jobState(folder, message.job)) !== "finished") await handover.fetch();
  } finally {
    await lock.release();
  }
  // Also from what this machine has itself, where Redis has lost it.
  const goesOn = await isThere(join(folder, "checkpoint.bin"));
  observer.started(name, goesOn);
  await job.updateProgress({ host: hostname(), goesOn, since: new Date().toISOString() });
  const end = await runJob({
    job: message.job,
    options: {
      ...resolvedOptions(message.job.options, options.base ?? message.base),
      ...(options.cache !== undefined && { cache: options.cache }),
    },
    folder,
    ...(options.threads !== undefined && { threads: options.threads }),
    runTrain: options.runTrain,
    signal: AbortSignal.any([options.signal, lost]),
    onSaved: () => handover.checkpointSaved(),
  });
  onTrained();
  if (lost.aborted) return { end, result: {} };
  await handover.settled();
  return { end, result: end.state === "finished" ? await handover.giveBack() : {} };
}
