import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { kept } from "../../bench/cache.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-cache-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("a result is made once and read afterwards", async () => {
  const path = join(folder, "below", "result.json");
  let made = 0;
  const make = async (): Promise<{ made: number }> => ({ made: ++made });
  expect(await kept(path, make)).toEqual({ made: 1 });
  expect(await kept(path, make)).toEqual({ made: 1 });
});

test("work that fails leaves nothing behind and is done again", async () => {
  const path = join(folder, "result.json");
  await expect(kept(path, () => Promise.reject(new Error("stopped")))).rejects.toThrow("stopped");
  expect(await readdir(folder)).toEqual([]);
  expect(await kept(path, () => Promise.resolve(7))).toBe(7);
});

test("a damaged file is made anew", async () => {
  const path = join(folder, "result.json");
  await writeFile(path, "{");
  expect(await kept(path, () => Promise.resolve([1]))).toEqual([1]);
});
