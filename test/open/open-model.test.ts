// The front door: what comes of each kind of file, and what a file that is none is told.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openModel } from "../../src/open/open-model.js";
import { newFolder, removeFolder, writeResnet } from "../support/small-models.js";

let folder: string;
beforeEach(async () => {
  folder = await newFolder();
});
afterEach(() => removeFolder(folder));

test("a layers-model is a graph with facts, by its file or its folder, in the layout that is asked for", async () => {
  const qdg = { version: 1, quantizers: {}, labels: ["a", "b", "c"] };
  const path = await writeResnet(folder, {}, { userDefinedMetadata: { qdg } });
  const model = await openModel(folder);
  expect(model.path).toBe(path);
  expect(model.graph.inputs[0]?.shape).toEqual(["N", 16, 16, 3]);
  expect(model.facts).toEqual({ layout: "nhwc", preprocessing: null, labels: ["a", "b", "c"] });
  expect(model.learned?.quantizers.size).toBe(0);
  const moved = await openModel(path, { layout: "nchw" });
  expect(moved.graph.inputs[0]?.shape).toEqual(["N", 3, 16, 16]);
  expect(moved.facts.layout).toBe("nchw");
  expect(moved.sourceHash).toBe(model.sourceHash);
});

test("what is no model is named, with what makes one of it", async () => {
  const path = join(folder, "m.json");
  await writeFile(path, Buffer.from("\x89HDF\r\n\x1a\n", "latin1"));
  await expect(openModel(path)).rejects.toMatchObject({
    code: "unsupported-model",
    message: expect.stringContaining("tensorflowjs_converter") as string,
  });
  await expect(openModel(join(folder, "none"))).rejects.toMatchObject({ code: "not-found" });
});
