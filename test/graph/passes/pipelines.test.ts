// What the lists of passes promise: training keeps weights, and folds in mind what export folds.

import { describe, expect, test } from "vitest";
import { float32 } from "../../../src/base/tensor.js";
import { GraphBuilder } from "../../../src/graph/builder.js";
import { consumers, type Graph, type Value, valuesOf } from "../../../src/graph/graph.js";
import { foldBatchNorm, normalizationAfter } from "../../../src/graph/passes/fold-batch-norm.js";
import {
  FLOAT_PASSES,
  QUANTIZED_PASSES,
  runPasses,
  TRAINING_PASSES,
} from "../../../src/graph/passes/pipelines.js";
import { printGraph } from "../../../src/graph/print.js";

class Net extends GraphBuilder {
  readonly x: Value = this.input("x", ["N", 2, 4, 4]);

  conv(name: string, from: Value, op = "Conv", group = 1): Value {
    const kernel = this.constant(
      `${name}/kernel`,
      float32([2, 2 / group, 1, 1], new Float32Array(4 / group).fill(0.5)),
    );
    return this.node(op, name, [from, kernel], { name, shape: from.shape }, { group });
  }

  norm(name: string, from: Value): Value {
    const parts = ["gamma", "beta", "mean", "variance"].map((part, i) =>
      this.constant(`${name}/${part}`, float32([2], [1 + i, 2])),
    );
    return this.node("BatchNormalization", name, [from, ...parts], { name, shape: from.shape });
  }

  relu(name: string, from: Value): Value {
    return this.node("Relu", name, [from], { name, shape: from.shape });
  }

  ending(...outputs: Value[]): Graph {
    outputs.forEach((output) => this.output(output));
    return this.graph;
  }
}

describe("batch normalization", () => {
  test.each<[string, (net: Net) => Graph, readonly string[]]>([
    ["after a convolution folds", (net) => net.ending(net.norm("bn", net.conv("conv", net.x))), ["conv"]],
    [
      "does not when something else reads the convolution",
      (net) => {
        const y = net.conv("conv", net.x);
        return net.ending(net.norm("bn", y), net.relu("relu", y));
      },
      [],
    ],
    [
      "does not when the convolution is an output itself",
      (net) => {
        const y = net.conv("conv", net.x);
        return net.ending(net.norm("bn", y), y);
      },
      [],
    ],
    [
      "does not after a rectifier",
      (net) => net.ending(net.norm("bn", net.relu("relu", net.conv("conv", net.x)))),
      [],
    ],
    [
      "does not where no axis runs over all output channels",
      (net) => net.ending(net.norm("bn", net.conv("conv", net.x, "ConvTranspose", 2))),
      [],
    ],
  ])("%s, in export and in the eyes of training", (_, make, expected) => {
    const source = make(new Net("net"));
    const folded = foldBatchNorm(source);
    const left = folded.nodes.filter(({ op }) => op === "BatchNormalization").length;
    expect(source.nodes.filter(({ op }) => op === "BatchNormalization").length - left).toBe(expected.length);
    const graph = runPasses(source, TRAINING_PASSES);
    const uses = consumers(graph);
    const foreseen = graph.nodes.filter((node) => normalizationAfter(graph, uses, node));
    expect(foreseen.map(({ origin }) => origin)).toEqual(expected);
  });
});

function constants(graph: Graph): unknown[] {
  return valuesOf(graph)
    .filter(({ constant }) => constant)
    .map(({ name, constant, channelFactor }) => [name, constant, channelFactor]);
}

test("training changes no weight, and leaves out nothing that keeps them", () => {
  const net = new Net("net");
  const y = net.relu("relu", net.norm("bn", net.conv("conv", net.x)));
  const source = net.ending(net.norm("bn2", net.conv("conv2", y, "ConvTranspose", 2)));
  const graph = runPasses(source, TRAINING_PASSES);
  expect(constants(graph)).toEqual(constants(source));
  expect(TRAINING_PASSES).toEqual(QUANTIZED_PASSES.filter(({ keepsWeights }) => keepsWeights));
  expect(TRAINING_PASSES.length).toBeGreaterThan(2);
});

test("a second run of the passes changes nothing, and a run changes nothing of its input", () => {
  const net = new Net("net");
  const source = net.ending(net.norm("bn", net.relu("relu", net.norm("bn1", net.conv("conv", net.x)))));
  const before = printGraph(source);
  for (const passes of [FLOAT_PASSES, QUANTIZED_PASSES]) {
    const once = runPasses(source, passes);
    expect(printGraph(runPasses(once, passes))).toBe(printGraph(once));
  }
  expect(printGraph(source)).toBe(before);
});
