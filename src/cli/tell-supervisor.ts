// What a command that works tells the process that waits for it (supervise.ts). Where nobody waits, nothing is told.

import type { WorkerMessage } from "./supervise.js";

let isSupervised = false;

/** Called by who has found out that a supervisor is there: a channel alone may be anybody's. */
export function beginTelling(): void {
  isSupervised = process.connected;
}

export function tellSupervisor(message: WorkerMessage): void {
  // To one that has just ended: "disconnect" follows.
  if (isSupervised && process.connected) process.send?.(message, undefined, undefined, () => undefined);
}
