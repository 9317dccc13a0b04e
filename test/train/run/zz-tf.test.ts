import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { train } from "../../../src/train/run/train.js";
import { contentOf, stopAfter, TINY } from "./tiny-run.js";
test("tf", async () => {
  const folder = await mkdtemp("/tmp/run/tf-");
  const options = { ...TINY, backend: "tensorflow", imageSize: 32, batchSize: 16, shapesCount: 12 };
  await train({ options, out: join(folder, "a") });
  await train({ options, out: join(folder, "b") });
  await train({ options, out: join(folder, "c"), ...stopAfter(7) });
  await train({ options: {}, out: join(folder, "c"), resume: true });
  const a = await contentOf(join(folder, "a"));
  expect(await contentOf(join(folder, "b"))).toEqual(a);
  expect(await contentOf(join(folder, "c"))).toEqual(a);
}, 200000);
