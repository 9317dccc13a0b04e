// A file that says which process works in a folder, so that a second one does not. It is there whole or not at all; one
// whose process has ended is taken over, and whoever takes it is told. Of another machine nobody can tell, so it stays.

import { randomBytes } from "node:crypto";
import { link, mkdir, readFile, rename, rmdir, unlink } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, resolve } from "node:path";
import { setTimeout } from "node:timers/promises";
import { writeWhole } from "./atomic-file.js";
import { errorText, QdgError } from "./error.js";
import { sweepLeftovers, temporaryName } from "./leftovers.js";
import { type ProcessIdentity, stateOf, thisProcess } from "./process-identity.js";
import { markTemporary, unmarkTemporary } from "./temporaries.js";

/** Between two looks at a process that is taking a lock over. */
const GUARD_WAIT_MS = 20;

/** What the file says, as JSON. */
export interface LockOwner extends ProcessIdentity {
  readonly host: string;
  /** ISO 8601 */
  readonly since: string;
}

export interface ProcessLock {
  /** Who had it, and ended without giving it back; null where nobody did. */
  readonly takenFrom: LockOwner | null;
  /** Removes the file, and folders that were made for it if nothing else is in them. */
  release(): Promise<void>;
}

/**
 * Creates `path`, making its folder.
 *
 * @param where what is locked, for messages
 * @throws QdgError `unavailable` where another process has it, or may have it; `io`
 */
export async function takeLock(path: string, where: string): Promise<ProcessLock> {
  const owner: LockOwner = { ...thisProcess(), host: hostname(), since: new Date().toISOString() };
  // Two locks of one process in one millisecond differ too.
  const text = `${JSON.stringify({ ...owner, key: randomBytes(6).toString("hex") })}\n`;
  const staged = temporaryName(path);
  markTemporary(staged);
  try {
    const made = await mkdir(dirname(path), { recursive: true });
    await sweepLeftovers(dirname(path));
    await writeWhole(staged, text);
    const takenFrom = await placeLock(staged, path, text, where);
    markTemporary(path);
    return { takenFrom, release: () => releaseLock(path, text, made) };
  } catch (thrown) {
    if (thrown instanceof QdgError) throw thrown;
    throw new QdgError("io", path, `cannot be written: ${errorText(thrown)}`, { cause: thrown });
  } finally {
    await unlink(staged).catch(() => undefined);
    unmarkTemporary(staged);
  }
}

/** Of several processes that try at once one gets it: a link fails where the name is taken. */
async function placeLock(
  staged: string,
  path: string,
  text: string,
  where: string,
): Promise<LockOwner | null> {
  for (;;) {
    if (await createLock(staged, path, text)) return null;
    const found = await readFile(path, "utf8").catch(absent);
    if (found === null) continue;
    const owner = parseOwner(found);
    const state = owner ? stateOf(owner) : "unknown";
    if (!owner || state !== "dead") throw inUse(path, where, owner, state === "unknown");
    if (await takeOver(staged, path, text, found, where)) return owner;
  }
}

/**
 * Puts `staged` in the place of a lock that holds `found`, if it still does. Only one process at a time may: it has a
 * lock of its own for that moment, or a slow one would take away what a fast one has just put there.
 */
async function takeOver(
  staged: string,
  path: string,
  text: string,
  found: string,
  where: string,
): Promise<boolean> {
  const guard = `${path}.taking`;
  if (!(await createLock(staged, guard, text))) {
    const other = parseOwner((await readFile(guard, "utf8").catch(absent)) ?? "");
    // Killed in that very moment.
    if (other && stateOf(other) !== "alive") throw inUse(guard, where, other, true);
    await setTimeout(GUARD_WAIT_MS);
    return false;
  }
  markTemporary(guard);
  try {
    if ((await readFile(path, "utf8").catch(absent)) !== found) return false;
    await rename(staged, path);
    return true;
  } finally {
    await unlink(guard).catch(() => undefined);
    unmarkTemporary(guard);
  }
}

async function createLock(staged: string, path: string, text: string): Promise<boolean> {
  try {
    await link(staged, path);
    return true;
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === "EEXIST") return false;
    // File systems without hard links.
    if (code !== "EPERM" && code !== "ENOTSUP" && code !== "ENOSYS") throw thrown;
  }
  try {
    await writeWhole(path, text);
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw thrown;
  }
}

async function releaseLock(path: string, text: string, made: string | undefined): Promise<void> {
  if ((await readFile(path, "utf8").catch(absent)) === text) await unlink(path).catch(() => undefined);
  unmarkTemporary(path);
  if (made === undefined) return;
  // Stops at the first that holds something.
  for (let folder = resolve(dirname(path)); ; folder = dirname(folder)) {
    const removed = await rmdir(folder).then(
      () => true,
      () => false,
    );
    if (!removed || folder === resolve(made)) return;
  }
}

function inUse(path: string, where: string, owner: LockOwner | null, isUnknown: boolean): QdgError {
  const who = owner
    ? `process ${owner.pid} on ${owner.host} since ${owner.since}`
    : "a process that it does not name";
  const remedy = isUnknown
    ? `; whether that still runs cannot be told from here: if not, remove ${path}`
    : "";
  return new QdgError("unavailable", where, `is in use by ${who}; wait until it ends, or stop it${remedy}`);
}

function parseOwner(text: string): LockOwner | null {
  try {
    const { pid, place, started, host, since } = JSON.parse(text) as {
      readonly [Key in keyof LockOwner]?: unknown;
    };
    const isWhole = [place, started, host, since].every(
      (each) => typeof each === "string" && each.length < 100,
    );
    if (!Number.isSafeInteger(pid) || (pid as number) < 1 || !isWhole) return null;
    return { pid, place, started, host, since } as LockOwner;
  } catch {
    return null;
  }
}

function absent(thrown: NodeJS.ErrnoException): null {
  if (thrown.code === "ENOENT") return null;
  throw thrown;
}
