// Where a worker trains a job: a folder by machine, sweep, job and options, so that what was begun with other options is
// never taken for the same.

import { rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import type { JobMessage } from "./job-message.js";

/** Names in a message have been checked to be no paths. */
export function workFolder(top: string, { sweep, job }: JobMessage): string {
  const machine = hostname().replaceAll(/[^\w.-]/g, "_");
  return join(top, `on-${machine}`, sweep, `${job.name}-${job.identity.slice(0, 8)}`);
}

/** Once the result is in Redis. What cannot be removed is only in the way of the disk. */
export async function removeWorkFolder(top: string, message: JobMessage): Promise<void> {
  await rm(workFolder(top, message), { recursive: true, force: true }).catch(() => undefined);
}
