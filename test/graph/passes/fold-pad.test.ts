// Snapshots of what the pass changes and what it leaves, and the numbers before and after.

import { describe, expect, test } from "vitest";
import { float32, type Tensor } from "../../../src/base/tensor.js";
import { floatFile } from "../../../src/export/float-file.js";
import { GraphBuilder } from "../../../src/graph/builder.js";
import type { Attribute, Graph } from "../../../src/graph/graph.js";
import { foldPad } from "../../../src/graph/passes/fold-pad.js";
import { verifyGraph } from "../../../src/graph/verify.js";
import { cpuRuntime } from "../../../src/runtime/cpu.js";

interface Choices {
  readonly pads?: number[];
  readonly value?: number;
  readonly conv?: Record<string, Attribute>;
  readonly twoReaders?: boolean;
}

/** Pad -> Conv 2x2 over [1, 1, 4, 4]. */
function padded({
  pads = [0, 0, 0, 1, 0, 0, 2, 1],
  value = 0,
  conv = {},
  twoReaders = false,
}: Choices): Graph {
  const builder = new GraphBuilder("padded");
  const x = builder.input("x", [1, 1, 4, 4]);
  const inputs = [x, builder.ints("pads", pads), builder.constant("value", float32([], [value]))];
  const pad = builder.node("Pad", "pad", inputs, { name: "pad", shape: [1, 1, "h", "w"] });
  const kernel = builder.constant("kernel", float32([1, 1, 2, 2], [1, 2, 3, 4]));
  builder.output(builder.node("Conv", "conv", [pad, kernel], { name: "y", shape: [1, 1, "a", "b"] }, conv));
  if (twoReaders) builder.output(builder.node("Relu", "relu", [pad], { name: "z", shape: [1, 1, "h", "w"] }));
  return builder.graph;
}

async function run(graph: Graph): Promise<Tensor | undefined> {
  const session = await cpuRuntime.open({ bytes: floatFile(graph, 21) });
  const data = Float32Array.from({ length: 16 }, (_, i) => i - 5);
  const { y } = await session.run({ x: float32([1, 1, 4, 4], data) });
  await session.dispose();
  return y;
}

const ops = (graph: Graph): string[] => graph.nodes.map((node) => node.op);

test.each([{}, { conv: { pads: [1, 0, 0, 1] } }, { conv: { strides: [2, 2] } }])(
  "zero padding goes into the convolution, with the same result: %o",
  async (choices) => {
    const before = padded(choices);
    const after = foldPad(before);
    verifyGraph(after);
    expect(ops(after)).toEqual(["Conv"]);
    expect(await run(after)).toEqual(await run(before));
    expect(foldPad(after)).toEqual(after);
  },
);

describe("padding stays", () => {
  test.each([
    ["with another number than zero", { value: 1 }],
    ["of channels", { pads: [0, 1, 0, 0, 0, 0, 0, 0] }],
    ["that takes away", { pads: [0, 0, -1, 0, 0, 0, 0, 0] }],
    ["before a convolution that pads by itself", { conv: { auto_pad: "SAME_UPPER" } }],
    ["that somebody else reads", { twoReaders: true }],
  ] satisfies [string, Choices][])("%s", (_, choices) => {
    expect(ops(foldPad(padded(choices)))).toContain("Pad");
  });
});
