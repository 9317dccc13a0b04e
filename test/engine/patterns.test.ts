// The engine against the reference on the patterns that lowering writes, at random shapes, strides, paddings and bits.

import { describe, expect, it } from "vitest";
import { QdgError } from "../../src/base/error.js";
import type { Tensor } from "../../src/base/tensor.js";
import { encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { engineRuntime } from "../../src/runtime/engine.js";
import { referenceRuntime } from "../../src/runtime/reference.js";
import type { Session } from "../../src/runtime/runtime.js";
import { KERNEL_CASES } from "../runtime/kernel-cases.js";
import { Random } from "../runtime/sketch.js";

const TRIALS = 12;

/** What it refuses, and how. */
const REFUSED: Readonly<Record<string, string>> = {
  "MatMul of two computed operands": "weights that are computed",
};

/** Elements that differ in each trial, or what the engine refuses. */
async function compare(index: number, trial: number): Promise<number | string> {
  const { graph, feeds } = (KERNEL_CASES[index] as (typeof KERNEL_CASES)[number]).make(
    new Random(1000 * index + trial),
  );
  const bytes = encodeModel(graphToModel(graph, { opset: 21, irVersion: 10, producerVersion: "test" }));
  let session: Session;
  try {
    session = await engineRuntime.open({ bytes });
  } catch (thrown) {
    if (thrown instanceof QdgError && thrown.code === "unsupported-op") {
      return /does not compute (.*);/.exec(thrown.message)?.[1] ?? thrown.message;
    }
    throw thrown;
  }
  const [got] = Object.values(await session.run(feeds)) as [Tensor];
  const [expected] = Object.values(await (await referenceRuntime.open({ bytes })).run(feeds)) as [Tensor];
  expect(got.shape).toEqual(expected.shape);
  return Array.from(expected.data as Uint8Array).filter((value, i) => value !== got.data[i]).length;
}

describe("the engine computes what the reference computes", () => {
  it.each(KERNEL_CASES.map(({ title }, index) => ({ title, index })))("$title", async ({ title, index }) => {
    for (let trial = 0; trial < TRIALS; trial++) {
      expect(await compare(index, trial)).toBe(REFUSED[title] ?? 0);
    }
  });
});
