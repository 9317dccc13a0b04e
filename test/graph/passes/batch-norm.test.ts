// Oracle: the network with its BatchNormalization nodes, run by ONNX Runtime, against the network without.

import { describe, expect, test } from "vitest";
import { float32, type Tensor } from "../../../src/base/tensor.js";
import { floatFile } from "../../../src/export/float-file.js";
import { GraphBuilder } from "../../../src/graph/builder.js";
import type { Graph, Value } from "../../../src/graph/graph.js";
import { batchNormToConv } from "../../../src/graph/passes/batch-norm-to-conv.js";
import { foldBatchNorm } from "../../../src/graph/passes/fold-batch-norm.js";
import { verifyGraph } from "../../../src/graph/verify.js";
import { cpuRuntime } from "../../../src/runtime/cpu.js";
import { seeded } from "../../support/layers-models.js";

const CHANNELS = 3;

class Net extends GraphBuilder {
  readonly #random = seeded(7);

  some(name: string, shape: number[], low = -1, high = 1): Value {
    const size = shape.reduce((product, dim) => product * dim, 1);
    const data = Float32Array.from({ length: size }, () => low + (high - low) * this.#random());
    return this.constant(name, float32(shape, data));
  }

  conv(name: string, x: Value, bias: boolean): Value {
    const inputs = [x, this.some(`${name}/kernel`, [CHANNELS, CHANNELS, 1, 1])];
    if (bias) inputs.push(this.some(`${name}/bias`, [CHANNELS]));
    return this.node("Conv", name, inputs, { name, shape: x.shape });
  }

  norm(name: string, x: Value, gamma = [0.5, -1.5, 0]): Value {
    const inputs = [
      x,
      this.constant(`${name}/gamma`, float32([CHANNELS], gamma)),
      this.some(`${name}/beta`, [CHANNELS]),
      this.some(`${name}/mean`, [CHANNELS]),
      this.some(`${name}/variance`, [CHANNELS], 0.1, 2),
    ];
    return this.node(
      "BatchNormalization",
      name,
      inputs,
      { name, shape: x.shape },
      { epsilon: { float: 1e-3 } },
    );
  }

  ending(...outputs: Value[]): Graph {
    outputs.forEach((output) => this.output(output));
    return this.graph;
  }
}

async function run(graph: Graph): Promise<Record<string, Tensor>> {
  const session = await cpuRuntime.open({ bytes: floatFile(graph, 21) });
  const random = seeded(3);
  const shape = graph.inputs[0]?.shape.map((dim) => (typeof dim === "number" ? dim : 2)) ?? [];
  const data = Float32Array.from({ length: shape.reduce((p, d) => p * d, 1) }, () => 2 * random() - 1);
  const results = await session.run({ x: float32(shape, data) });
  await session.dispose();
  return results;
}

async function expectSame(before: Graph, after: Graph): Promise<void> {
  verifyGraph(after);
  const [expected, got] = [await run(before), await run(after)];
  for (const [name, { data }] of Object.entries(expected)) {
    const other = got[name]?.data as Float32Array;
    (data as Float32Array).forEach((x, i) => expect(other[i], `${name}[${i}]`).toBeCloseTo(x, 5));
  }
}

const ops = (graph: Graph): string[] => graph.nodes.map((node) => node.op);
const image = ["N", CHANNELS, 4, 4];

describe("batch normalization folds into the weights before it", () => {
  test.each([false, true])("with a bias: %s; negative and zero gamma too", async (bias) => {
    const net = new Net("fold");
    const before = net.ending(net.norm("bn", net.conv("conv", net.input("x", image), bias)));
    const after = foldBatchNorm(before);
    expect(ops(after)).toEqual(["Conv"]);
    expect(after.nodes[0]?.outputs[0]?.name).toBe("bn");
    await expectSame(before, after);
    expect(foldBatchNorm(after)).toEqual(after);
  });

  test("twice in a row", async () => {
    const net = new Net("twice");
    const conv = net.conv("conv", net.input("x", image), true);
    const before = net.ending(net.norm("bn2", net.norm("bn1", conv, [1, 2, 3])));
    expect(ops(foldBatchNorm(before))).toEqual(["Conv"]);
    await expectSame(before, foldBatchNorm(before));
  });

  test("without touching the weight itself: the factor stands beside it", () => {
    const net = new Net("beside");
    const graph = net.ending(net.norm("bn", net.conv("conv", net.input("x", image), false)));
    const weight = graph.nodes[0]?.inputs[1];
    const folded = foldBatchNorm(graph).nodes[0]?.inputs[1];
    expect(folded?.constant).toBe(weight?.constant);
    expect(folded?.channelFactor?.axis).toBe(0);
    expect(folded?.name).toBe("conv/kernel");
  });

  test("of a layer that is shared by two branches, each with its own factor", async () => {
    const net = new Net("shared");
    const kernel = net.some("conv/kernel", [CHANNELS, CHANNELS, 1, 1]);
    const x = net.input("x", image);
    const branch = (name: string): Value => net.node("Conv", "conv", [x, kernel], { name, shape: image });
    const before = net.ending(net.norm("bn1", branch("conv")), net.norm("bn2", branch("conv@1"), [2, 1, 1]));
    const after = foldBatchNorm(before);
    expect(ops(after)).toEqual(["Conv", "Conv"]);
    await expectSame(before, after);
  });
});

describe("batch normalization that cannot fold becomes a depthwise convolution", () => {
  test("after an activation, over images", async () => {
    const net = new Net("image");
    const x = net.input("x", image);
    const before = net.ending(net.norm("bn", net.node("Relu", "relu", [x], { name: "relu", shape: image })));
    const after = batchNormToConv(foldBatchNorm(before));
    expect(ops(after)).toEqual(["Relu", "Conv"]);
    await expectSame(before, after);
  });

  test("over vectors, by way of a spatial axis of one", async () => {
    const net = new Net("vector");
    const before = net.ending(net.norm("bn", net.input("x", ["N", CHANNELS])));
    const after = batchNormToConv(before);
    expect(ops(after)).toEqual(["Reshape", "Conv", "Reshape"]);
    await expectSame(before, after);
  });

  test("when somebody else reads the convolution", async () => {
    const net = new Net("fork");
    const conv = net.conv("conv", net.input("x", image), true);
    const before = net.ending(net.norm("bn", conv), conv);
    const after = batchNormToConv(foldBatchNorm(before));
    expect(ops(after)).toEqual(["Conv", "Conv"]);
    await expectSame(before, after);
  });
});

test("a variance that is negative is refused, with the layer and the channel", () => {
  const net = new Net("negative");
  const x = net.input("x", image);
  const ones = net.constant("ones", float32([CHANNELS], [1, 1, 1]));
  const variance = net.constant("variance", float32([CHANNELS], [1, -1, 1]));
  const y = net.node("BatchNormalization", "bn", [x, ones, ones, ones, variance], {
    name: "bn",
    shape: image,
  });
  expect(() => batchNormToConv(net.ending(y))).toThrow(
    /bn \(BatchNormalization\): variance\[1\].*expected > 0/,
  );
});
