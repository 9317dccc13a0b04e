// The engine of many machines: jobs wait in Redis, workers (`qdg work`) take them, results come back. Loads BullMQ
// when it runs.

import type { Engine } from "./engine.js";

export const bullmqEngine: Engine = {
  name: "bullmq",
  help: "machines that run qdg work, by way of Redis",
  settings: ["redis", "queue"],
  async run(context) {
    const { coordinate } = await import("../queue/coordinate.js");
    return coordinate(context);
  },
};
