// Snapshots of the order of nodes, and the numbers before and after, equal to the bit.

import { describe, expect, test } from "vitest";
import { float32, type Tensor } from "../../../src/base/tensor.js";
import { floatFile } from "../../../src/export/float-file.js";
import { GraphBuilder } from "../../../src/graph/builder.js";
import type { Attribute, Graph } from "../../../src/graph/graph.js";
import { poolBeforeActivation } from "../../../src/graph/passes/pool-before-activation.js";
import { verifyGraph } from "../../../src/graph/verify.js";
import { cpuRuntime } from "../../../src/runtime/cpu.js";
import { seeded } from "../../support/layers-models.js";

interface Choices {
  readonly attributes?: Record<string, Attribute>;
  readonly poolIsOutput?: boolean;
  readonly otherReader?: boolean;
}

function network(
  op: string,
  { attributes = {}, poolIsOutput = false, otherReader = false }: Choices = {},
): Graph {
  const net = new GraphBuilder("net");
  const x = net.input("x", [1, 2, 6, 6]);
  const y = net.node(op, "act", [x], { name: "act", shape: x.shape }, attributes);
  const window = { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] };
  const pooled = net.node("MaxPool", "pool", [y], { name: "pool", shape: [1, 2, 3, 3] }, window);
  net.output(poolIsOutput ? pooled : net.node("Neg", "neg", [pooled], { name: "neg", shape: [1, 2, 3, 3] }));
  if (otherReader) net.output(net.node("Abs", "abs", [y], { name: "abs", shape: x.shape }));
  return net.graph;
}

async function run(graph: Graph): Promise<Record<string, Tensor>> {
  const session = await cpuRuntime.open({ bytes: floatFile(graph, 21) }, { optimization: "none" });
  const random = seeded(5);
  const results = await session.run({
    x: float32(
      [1, 2, 6, 6],
      Float32Array.from({ length: 72 }, () => 6 * random() - 3),
    ),
  });
  await session.dispose();
  return results;
}

const ops = (graph: Graph): string[] => graph.nodes.map((node) => node.op);

test.each(["LeakyRelu", "Elu", "Sigmoid", "HardSigmoid", "Softsign", "ThresholdedRelu"])(
  "%s comes after the pooling, with the same result and its own name",
  async (op) => {
    const before = network(op);
    const after = poolBeforeActivation(before);
    verifyGraph(after);
    expect(ops(after)).toEqual(["MaxPool", op, "Neg"]);
    expect(after.nodes[1]?.outputs[0]?.name).toBe("act");
    expect(await run(after)).toEqual(await run(before));
    expect(ops(poolBeforeActivation(after))).toEqual(ops(after));
  },
);

describe("the pooling stays where it is", () => {
  test.each([
    ["after a function that falls", "LeakyRelu", { attributes: { alpha: { float: -0.5 } } }],
    ["after a function that is not monotone", "Mish", {}],
    ["after a ReLU, which is one with the sum before it", "Relu", {}],
    ["as an output of the graph", "LeakyRelu", { poolIsOutput: true }],
    ["when somebody else reads the activation", "LeakyRelu", { otherReader: true }],
  ] satisfies [string, string, Choices][])("%s", (_, op, choices) => {
    const before = network(op, choices);
    expect(ops(poolBeforeActivation(before))).toEqual(ops(before));
  });
});
