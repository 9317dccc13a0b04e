import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { QdgError } from "../../src/base/error.js";
import { stateOf, thisProcess } from "../../src/base/process-identity.js";
import { takeLock } from "../../src/base/process-lock.js";
import { removeTemporaries } from "../../src/base/temporaries.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-lock-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** The text of a lock; of a process that has ended unless told otherwise. */
function lockOf(changes: object = {}): string {
  const pid = spawnSync(process.execPath, ["-e", "0"]).pid;
  const owner = { ...thisProcess(), pid, started: "1", host: "here", since: "2026-01-02T03:04:05.000Z" };
  return JSON.stringify({ ...owner, ...changes });
}

async function refusal(path: string): Promise<QdgError> {
  return takeLock(path, "runs/a").then(
    () => Promise.reject(new Error("nothing was refused")),
    (thrown: QdgError) => thrown,
  );
}

test("a second lock is refused, says who has the first, and is given once that one is released", async () => {
  const path = join(folder, "run.lock");
  const lock = await takeLock(path, "runs/a");
  expect(lock.takenFrom).toBeNull();
  const { message } = await refusal(path);
  expect(message).toMatch(
    new RegExp(
      `^runs/a: is in use by process ${process.pid} on \\S+ since 2\\d{3}-\\S+Z; wait until it ends, or stop it \\[unavailable\\]$`,
    ),
  );
  await lock.release();
  expect(await readdir(folder)).toEqual([]);
  await (await takeLock(path, "runs/a")).release();
});

test("of several at once exactly one is given, and nothing else is left in the folder", async () => {
  const path = join(folder, "run.lock");
  for (const before of [null, lockOf()]) {
    if (before !== null) await writeFile(path, before);
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => takeLock(path, "runs/a")));
    const given = tries.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    expect(given).toHaveLength(1);
    expect(await readdir(folder)).toEqual(["run.lock"]);
    await given[0]?.release();
    expect(await readdir(folder)).toEqual([]);
  }
});

test("the lock of a process that has ended is taken over, also when its number is used again", async () => {
  const path = join(folder, "run.lock");
  await writeFile(path, lockOf());
  const lock = await takeLock(path, "runs/a");
  expect(lock.takenFrom).toMatchObject({ host: "here", since: "2026-01-02T03:04:05.000Z" });
  expect(await readFile(path, "utf8")).toContain(`"pid":${process.pid}`);
  await lock.release();
  // Where the system does not say when a process started, a number that is in use is taken for the same process.
  const isTold = thisProcess().started !== "0";
  expect(stateOf({ ...thisProcess(), started: "1" })).toBe(isTold ? "dead" : "alive");
  expect(stateOf(thisProcess())).toBe("alive");
});

test.each([
  ["of another machine", lockOf({ place: "00000000", host: "there" }), /by process \d+ on there since 2026/],
  ["that is no lock", "{}", /by a process that it does not name;/],
  ["that is empty", "", /by a process that it does not name;/],
])("a lock %s is left alone, with what to do", async (_, text, says) => {
  const path = join(folder, "run.lock");
  await writeFile(path, text);
  const { message } = await refusal(path);
  expect(message).toMatch(says);
  expect(message).toContain(
    `whether that still runs cannot be told from here: if not, remove ${path} [unavailable]`,
  );
  expect(await readFile(path, "utf8")).toBe(text);
});

test("folders that were made for a lock go with it, unless something else is in them", async () => {
  const path = join(folder, "runs", "a", "run.lock");
  await (await takeLock(path, "a")).release();
  expect(await readdir(folder)).toEqual([]);
  const lock = await takeLock(path, "a");
  await writeFile(join(folder, "runs", "a", "log.jsonl"), "");
  await lock.release();
  expect(await readdir(join(folder, "runs", "a"))).toEqual(["log.jsonl"]);
});

test("a signal that ends the process takes the lock away", async () => {
  const lock = await takeLock(join(folder, "run.lock"), "a");
  removeTemporaries();
  expect(await readdir(folder)).toEqual([]);
  await lock.release();
});

test("what somebody else has put in its place is not released", async () => {
  const path = join(folder, "run.lock");
  const lock = await takeLock(path, "a");
  await writeFile(path, lockOf({ place: "00000000" }));
  await lock.release();
  expect(await readdir(folder)).toEqual(["run.lock"]);
});
