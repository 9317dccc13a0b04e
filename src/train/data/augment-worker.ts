// A worker thread of batch-source.ts: makes the batches it is asked for. Says nothing else, keeps nothing
// between steps, and must never import tfjs, which would take seconds and memory in every thread.

import { parentPort, workerData } from "node:worker_threads";
import type { BatchPlan } from "./batch-maker.js";
import { BatchMaker } from "./batch-maker.js";

const maker = new BatchMaker(workerData as BatchPlan);

parentPort?.on("message", (step: number) => {
  const { x, labels, images } = maker.make(step);
  parentPort?.postMessage({ step, x, labels, images }, [x.buffer, labels.buffer, images.buffer]);
});
