// A thread of the engine in Node: what a worker runs from its start on.

import { parentPort, workerData } from "node:worker_threads";
import { serve, type ThreadTask } from "../engine/team.js";

await serve(workerData as ThreadTask, () => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has none
  parentPort?.postMessage("ready");
});
