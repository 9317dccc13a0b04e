// Values are what they were, in memory and on the disk alike, and nothing stays behind.

import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { float32 } from "../../../src/base/tensor.js";
import { ValueStore } from "../../../src/export/reconstruction/value-store.js";
import { gaussian } from "../../support/arbitrary.js";

const folders = async (): Promise<string[]> =>
  (await readdir(tmpdir())).filter((name) => name.startsWith("qdg-values-"));

const value = (sample: number, name: string) => float32([1, 5], gaussian(5, sample + name.length));

test.each([0, 100, 1e6])("with %i bytes of memory", async (memory) => {
  const before = await folders();
  const store = new ValueStore(memory);
  for (const name of ["a", "layer/long"]) {
    for (let sample = 0; sample < 4; sample++) await store.set(sample, name, value(sample, name));
  }
  for (const sample of [3, 0, 2, 1]) {
    expect(await store.get(sample, "a")).toEqual(value(sample, "a"));
    expect(await store.get(sample, "layer/long")).toEqual(value(sample, "layer/long"));
  }
  await store.drop("a");
  expect(store.names).toEqual(["layer/long"]);
  await expect(store.get(0, "a")).rejects.toThrow(/a: is not at hand/);
  await store.set(0, "a", value(9, "a"));
  expect(await store.get(0, "a")).toEqual(value(9, "a"));
  const during = (await folders()).length - before.length;
  expect(during > 0).toBe(memory < 100 + 1);
  await store.dispose();
  expect(await folders()).toEqual(before);
});
