// Names of what is written beside its final place until it is whole, and taking away what a killed process has left
// of it. A name says whose it is: nothing of a process that runs, or of another machine, is ever touched.

import { randomBytes } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { stateOf, thisProcess } from "./process-identity.js";

/** `.name.<place>-<pid>-<started>.<random>.tmp` */
const PATTERN = /^\..+\.([0-9a-f]{8})-(\d{1,10})-(\d{1,20})\.[0-9a-f]{12}\.tmp$/;

const swept = new Set<string>();

/** A new name in the folder of `path`, hidden, that no other call gives. */
export function temporaryName(path: string): string {
  const { place, pid, started } = thisProcess();
  const random = randomBytes(6).toString("hex");
  return join(dirname(path), `.${basename(path)}.${place}-${pid}-${started}.${random}.tmp`);
}

/** Whether a file's name is one that temporaryName gave, to whatever process. */
export function isTemporaryName(name: string): boolean {
  return PATTERN.test(name);
}

/**
 * Removes files and folders in `folder` that have the names of temporaryName and whose process has ended. Looks once
 * per folder and process. What cannot be read or removed stays: the write that follows says what is wrong.
 */
export async function sweepLeftovers(folder: string): Promise<void> {
  const path = resolve(folder);
  if (swept.has(path)) return;
  swept.add(path);
  const names = await readdir(path).catch(() => []);
  for (const name of names) {
    const [, place, pid, started] = PATTERN.exec(name) ?? [];
    if (place === undefined || pid === undefined || started === undefined) continue;
    if (stateOf({ place, pid: Number(pid), started }) !== "dead") continue;
    await rm(join(path, name), { recursive: true, force: true }).catch(() => undefined);
  }
}
