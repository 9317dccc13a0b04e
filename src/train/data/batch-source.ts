// The batches of a training run: a pure function of (seed, step), made ahead by worker threads. Nothing here
// may depend on what was asked before, or a resumed run would not go on as if never stopped.

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { errorText, QdgError } from "../../base/error.js";
import type { Preprocessing } from "../../image/preprocessing.js";
import { checkChannels } from "../../image/preprocessing.js";
import type { Augmentation } from "./augment.js";
import { AUGMENTATIONS } from "./augment.js";
import type { Batch } from "./batch.js";
import { toBatch } from "./batch.js";
import type { BatchArrays, BatchPlan } from "./batch-maker.js";
import { BatchMaker } from "./batch-maker.js";
import type { Dataset, Domain } from "./dataset.js";
import { CHANNELS, checkInteger } from "./dataset.js";

export interface BatchSourceOptions {
  /** Images a domain in each batch. */
  readonly batchSize: number;
  readonly preprocessing: Preprocessing;
  readonly augmentation: Augmentation;
  /** An integer in 0..2^32 - 1. */
  readonly seed: number;
  /**
   * Worker threads that make batches ahead; 0: none, they are made when asked for. 1 when absent, 0 on a
   * machine with one core. The batches are the same to the last bit.
   */
  readonly threads?: number;
}

/** Batches that a thread works ahead: one in the making, one waiting. */
const AHEAD_PER_THREAD = 2;
const MAX_THREADS = 64;
/** Values of one batch: 4 GiB of float32. */
const MAX_VALUES = 2 ** 30;

/** Compiled code has a worker file beside it; TypeScript run from source has none that a thread could load. */
const WORKER: URL | null = import.meta.url.endsWith(".js")
  ? new URL("./augment-worker.js", import.meta.url)
  : null;

interface Thread {
  readonly worker: Worker;
  /** Steps asked for and not answered. */
  readonly steps: Set<number>;
}

/** A batch asked for. */
class Pending {
  /** How many calls of next want it. */
  waiting = 0;
  readonly arrays: Promise<BatchArrays>;
  settle!: (arrays: BatchArrays) => void;
  fail!: (reason: Error) => void;

  constructor() {
    this.arrays = new Promise((resolve, reject) => {
      this.settle = resolve;
      this.fail = reject;
    });
    // Thrown by next, to whom it concerns; a batch made ahead may concern nobody.
    this.arrays.catch(() => undefined);
  }
}

/** `batchSize` images of each domain a batch, domains in the order given; see BatchMaker for which and how. */
export class BatchSource {
  /** Steps until the smallest domain has been used once; as DomainBed counts epochs, not a whole number. */
  readonly stepsPerEpoch: number;
  private readonly plan: BatchPlan;
  private readonly maker: BatchMaker;
  private readonly threads: Thread[];
  private readonly pending = new Map<number, Pending>();
  private waiting = 0;
  private failure: Error | null = null;
  private disposed = false;

  /**
   * @param domains the source domains, and which of their images train
   * @param workerFile for tests: what threads run instead of the compiled worker
   * @throws QdgError `usage` for options out of range; `invalid-data` for a domain without an image or with
   * indices out of range, or a mean or std of another length than 1 or 3
   */
  constructor(
    dataset: Dataset,
    domains: readonly { readonly domain: Domain; readonly indices: Uint32Array }[],
    options: BatchSourceOptions,
    workerFile: URL | null = WORKER,
  ) {
    const { batchSize, preprocessing, augmentation, seed } = options;
    const threads = options.threads ?? (availableParallelism() > 1 ? 1 : 0);
    checkInteger("batch size", batchSize, 1, 2 ** 16);
    checkInteger("seed", seed, 0, 2 ** 32 - 1);
    checkInteger("threads", threads, 0, MAX_THREADS);
    checkChannels(preprocessing, CHANNELS, "preprocessing");
    if (!AUGMENTATIONS.includes(augmentation)) {
      throw new QdgError(
        "usage",
        "augmentation",
        `got ${augmentation}, expected ${AUGMENTATIONS.join(", ")}`,
      );
    }
    const { imageSize } = dataset;
    if (domains.length * batchSize * imageSize * imageSize * CHANNELS > MAX_VALUES) {
      const what = `got ${batchSize} images of each of ${domains.length} domains at ${imageSize} x ${imageSize}`;
      throw new QdgError("usage", "batch size", `${what}, which is more than 4 GiB a batch; take fewer`);
    }
    this.plan = {
      sources: domains.map(({ domain, indices }) => {
        checkIndices(domain, indices);
        return { name: domain.name, pixels: domain.pixels, labels: domain.labels, indices };
      }),
      imageSize,
      batchSize,
      preprocessing,
      augmentation,
      seed,
    };
    this.stepsPerEpoch = Math.min(...domains.map(({ indices }) => indices.length)) / batchSize;
    this.maker = new BatchMaker(this.plan);
    this.threads = workerFile === null ? [] : Array.from({ length: threads }, () => this.start(workerFile));
  }

  /**
   * The batch of `step`; the caller disposes of its tensors.
   *
   * @param step from 0; fastest when each is one above the last
   * @throws QdgError `runtime` when a worker thread died; `internal` after dispose
   */
  async next(step: number): Promise<Batch> {
    checkInteger("step", step, 0, Number.MAX_SAFE_INTEGER);
    if (this.disposed) throw new QdgError("internal", "batches", "asked for after they were disposed of");
    if (this.failure) throw this.failure;
    const { imageSize } = this.plan;
    if (this.threads.length === 0) return toBatch(this.maker.make(step), imageSize);
    const ahead = this.threads.length * AHEAD_PER_THREAD;
    // What a jump to another step has left behind.
    for (const [known, { waiting }] of this.pending) {
      if (waiting === 0 && (known < step || known > step + ahead)) this.pending.delete(known);
    }
    const wanted = this.request(step);
    for (let later = step + 1; later <= step + ahead; later++) this.request(later);
    // Threads keep the process alive only while somebody waits for them.
    wanted.waiting++;
    if (this.waiting++ === 0) for (const { worker } of this.threads) worker.ref();
    try {
      return toBatch(await wanted.arrays, imageSize);
    } finally {
      if (--wanted.waiting === 0) this.pending.delete(step);
      if (--this.waiting === 0) for (const { worker } of this.threads) worker.unref();
    }
  }

  dispose(): void {
    this.disposed = true;
    this.fail(new QdgError("interrupted", "batches", "disposed of while a batch was being made"));
  }

  private request(step: number): Pending {
    const known = this.pending.get(step);
    if (known) return known;
    const pending = new Pending();
    this.pending.set(step, pending);
    const thread = this.threads.reduce((a, b) => (b.steps.size < a.steps.size ? b : a));
    thread.steps.add(step);
    thread.worker.postMessage(step, []);
    return pending;
  }

  private start(file: URL): Thread {
    // Node's own options concern the main thread's program (--input-type does not even let a file load).
    const worker = new Worker(file, { workerData: this.plan, execArgv: [] });
    const thread: Thread = { worker, steps: new Set() };
    worker.unref();
    worker.on("message", ({ step, ...arrays }: BatchArrays & { readonly step: number }) => {
      thread.steps.delete(step);
      this.pending.get(step)?.settle(arrays);
    });
    const died = (reason: string, cause?: unknown): void =>
      this.fail(
        new QdgError(
          "runtime",
          "worker thread",
          `${reason}; go on from the last checkpoint, or with --threads 0`,
          {
            cause,
          },
        ),
      );
    worker.on("error", (thrown) => died(`died: ${errorText(thrown)}`, thrown));
    worker.on("messageerror", (thrown) => died(`sent what cannot be read: ${errorText(thrown)}`, thrown));
    worker.on("exit", (code) => died(`ended by itself with code ${code}`));
    return thread;
  }

  /** Ends all threads and everybody's waiting. The first reason stays. */
  private fail(reason: Error): void {
    if (this.failure) return;
    this.failure = reason;
    for (const { fail } of this.pending.values()) fail(reason);
    this.pending.clear();
    for (const { worker } of this.threads) void worker.terminate();
  }
}

function checkIndices(domain: Domain, indices: Uint32Array): void {
  if (indices.length === 0) {
    throw new QdgError(
      "invalid-data",
      `domain ${domain.name}`,
      "got no image to train on, expected one or more",
    );
  }
  const outside = indices.find((index) => index >= domain.count);
  if (outside === undefined) return;
  throw new QdgError(
    "invalid-data",
    `domain ${domain.name}`,
    `index ${outside} is beyond its ${domain.count} images`,
  );
}
