// What every normalizing pass promises, on random networks as exporters write them; and what each makes of its own pattern.

import { describe, expect, test } from "vitest";
import { floatFile } from "../../../src/export/float-file.js";
import { float32 } from "../../../src/base/tensor.js";
import { GraphBuilder } from "../../../src/graph/builder.js";
import { type Graph, type Value, valuesOf } from "../../../src/graph/graph.js";
import { printGraph } from "../../../src/graph/print.js";
import { verifyGraph } from "../../../src/graph/verify.js";
import { NORMALIZING_PASSES, normalize } from "../../../src/read/normalize/pipeline.js";
import { largestDifference } from "../../support/same-outputs.js";
import { channelsLastNetwork } from "../../support/channels-last-networks.js";
import { BLOCKS, Spelling, spelledNetwork } from "../../support/spelled-networks.js";

/** Layer normalization of numbers that hardly differ multiplies what the last bits before it differ by. */
const ROUNDING = 1e-4;

const IMAGE = ["N", 3, 5, 5];

const file = (graph: Graph): Uint8Array => floatFile(graph, 21);

describe.each([...new Set(NORMALIZING_PASSES)].map((pass) => ({ name: pass.name, pass })))(
  "$name",
  ({ pass }) => {
    test("changes no output, and a second run changes nothing, on random networks", async () => {
      let changed = 0;
      for (let seed = 0; seed < 16; seed++) {
        const before = spelledNetwork(seed);
        const printed = printGraph(before);
        const after = pass(before);
        verifyGraph(after);
        expect(printGraph(before)).toBe(printed);
        expect(printGraph(pass(after))).toBe(printGraph(after));
        if (printGraph(after) === printed) continue;
        changed++;
        expect(await largestDifference(file(before), file(after), before), `seed ${seed}`).toBeLessThan(
          ROUNDING,
        );
      }
      expect(changed).toBeGreaterThan(0);
    });
  },
);

test("all passes together change no output, keep names of inputs and outputs, and a second time change nothing", async () => {
  for (let seed = 100; seed < 112; seed++) {
    const before = spelledNetwork(seed, 12);
    const after = normalize(before);
    expect(printGraph(normalize(after))).toBe(printGraph(after));
    expect(after.outputs.map(({ name }) => name)).toEqual(before.outputs.map(({ name }) => name));
    expect(await largestDifference(file(before), file(after), before), `seed ${seed}`).toBeLessThan(ROUNDING);
  }
});

/** Transposes but those of inputs and those that give outputs. */
function innerTransposes({ nodes, outputs }: Graph): string[] {
  return nodes
    .filter(({ op, inputs }) => op === "Transpose" && inputs[0]?.producer)
    .filter((node) => !node.outputs.some((output) => outputs.includes(output)))
    .map(({ origin }) => origin);
}

test("networks with channels last get them first: no transpose is left but those of inputs and outputs", async () => {
  for (let seed = 0; seed < 40; seed++) {
    const before = channelsLastNetwork(new Spelling(seed), 9, 0);
    const after = normalize(before);
    expect(innerTransposes(after), `seed ${seed}`).toEqual([]);
    expect(printGraph(normalize(after))).toBe(printGraph(after));
    expect(after.outputs.map(({ name }) => name)).toEqual(before.outputs.map(({ name }) => name));
    expect(await largestDifference(file(before), file(after), before), `seed ${seed}`).toBeLessThan(ROUNDING);
  }
});

test("where parts of such a network are outputs too, in their own order, transposes become fewer and outputs stay", async () => {
  for (let seed = 100; seed < 112; seed++) {
    const before = channelsLastNetwork(new Spelling(seed), 9, 0.3);
    const after = normalize(before);
    expect(innerTransposes(after).length).toBeLessThan(innerTransposes(before).length);
    expect(await largestDifference(file(before), file(after), before), `seed ${seed}`).toBeLessThan(ROUNDING);
  }
});

/** Operators that are left of one block between two Tanh. */
function left(block: keyof typeof BLOCKS, seed = 1): string[] {
  const graph = normalize(spelledNetwork(seed, 2, [BLOCKS[block] as never]));
  return [...new Set(graph.nodes.map(({ op }) => op))].filter((op) => op !== "Tanh").sort();
}

test.each<[keyof typeof BLOCKS, string[]]>([
  ["identity", []],
  ["convAndAdd", ["Conv"]],
  ["convAndAffine", ["BatchNormalization", "Conv"]],
  ["swish", ["Swish"]],
  ["hardSwish", ["HardSwish"]],
  ["mish", ["Mish"]],
  ["gelu", ["Gelu"]],
  ["geluTanh", ["Gelu"]],
  ["leak", ["LeakyRelu"]],
  ["slant", ["LeakyRelu"]],
  ["chosen", ["LeakyRelu"]],
  ["cut", ["Relu"]],
  ["logSoftmax", ["LogSoftmax"]],
  ["prelu", ["LeakyRelu"]],
  ["layerNorm", ["LayerNormalization"]],
  ["dense", ["Gemm", "Reshape"]],
  ["split", ["Concat", "Slice"]],
  ["flattened", []],
  ["gather", ["Add", "Slice", "Squeeze", "Unsqueeze"]],
  ["pool", ["Add", "GlobalAveragePool"]],
])("of the block %s remains %j", (block, expected) => {
  for (let seed = 1; seed < 6; seed++) {
    // One channel cannot be split.
    const input = spelledNetwork(seed, 0).inputs[0];
    if (block === "split" && input?.shape[1] === 1) continue;
    expect(left(block, seed), `seed ${seed}`).toEqual(expected);
  }
});

test("of a softmax no exponential remains, of slopes by channel no rectifier", () => {
  for (let seed = 1; seed < 12; seed++) {
    const softmax = left("softmax", seed);
    expect(softmax, `seed ${seed}`).toContain("Softmax");
    expect(softmax, `seed ${seed}`).not.toContain("Exp");
    // One channel has one slope.
    const channels = spelledNetwork(seed, 0).inputs[0]?.shape[1];
    expect(left("leakByChannel", seed), `seed ${seed}`).toEqual([channels === 1 ? "LeakyRelu" : "PRelu"]);
  }
});

test("of what an image goes through before its first convolution nothing remains but a transpose", () => {
  for (let seed = 1; seed < 12; seed++) {
    const graph = normalize(spelledNetwork(seed, 1, [BLOCKS["preprocessed"] as never]));
    const ops = graph.nodes.map(({ op }) => op);
    expect(
      ops.find((op) => op !== "Transpose"),
      `seed ${seed}`,
    ).toBe("Conv");
    expect(ops, `seed ${seed}`).not.toContain("Mul");
    expect(graph.nodes[0]?.inputs[0], `seed ${seed}`).toBe(graph.inputs[0]);
  }
});

test.each<[string, (net: GraphBuilder, x: Value) => Value, readonly number[], string[]]>([
  [
    "an offset before padding stays, with its factor",
    (net, x) => nodeOf(net, "Sub", [nodeOf(net, "Mul", [x, number(net, 2)], IMAGE), number(net, 1)], IMAGE),
    [1, 1, 1, 1],
    ["Mul", "Sub", "Conv"],
  ],
  [
    "a factor before padding goes",
    (net, x) => nodeOf(net, "Div", [x, number(net, 255)], IMAGE),
    [1, 1, 1, 1],
    ["Conv"],
  ],
  [
    "a factor by column stays",
    (net, x) => nodeOf(net, "Mul", [x, net.constant("c", float32([5], [1, 2, 3, 4, 5]))], IMAGE),
    [0, 0, 0, 0],
    ["Mul", "Conv"],
  ],
  [
    "a factor that is no number stays",
    (net, x) => nodeOf(net, "Div", [x, number(net, 0)], IMAGE),
    [0, 0, 0, 0],
    ["Div", "Conv"],
  ],
  [
    "what is no input of the graph stays",
    (net, x) => nodeOf(net, "Mul", [nodeOf(net, "Relu", [x], IMAGE), number(net, 2)], IMAGE),
    [0, 0, 0, 0],
    ["Relu", "Mul", "Conv"],
  ],
])("of an image: %s", (_, build, pads, expected) => {
  const net = new GraphBuilder("image");
  const x = build(net, net.input("x", IMAGE));
  const weight = net.constant("w", float32([1, 3, 3, 3], new Float32Array(27).fill(1)));
  const side = 3 + (pads[0] as number) * 2;
  net.output(net.node("Conv", "conv", [x, weight], { name: "y", shape: ["N", 1, side, side] }, { pads }));
  expect(normalize(net.graph).nodes.map(({ op }) => op)).toEqual(expected);
});

/** Operators that are left of one output of x [N, 2, 3]. */
function lookalike(build: (net: GraphBuilder, x: Value) => Value): string[] {
  const net = new GraphBuilder("lookalike");
  net.output(build(net, net.input("x", ["N", 2, 3])));
  return normalize(net.graph).nodes.map(({ op }) => op);
}

function nodeOf(
  net: GraphBuilder,
  name: string,
  inputs: readonly Value[],
  shape: readonly (string | number)[] = ["N", 2, 3],
): Value {
  return net.node(name, name, inputs, { name: net.uniqueName(name), shape });
}

function number(net: GraphBuilder, x: number): Value {
  return net.constant("number", float32([], [x]));
}

function sumOver(net: GraphBuilder, of: Value, axes: readonly number[]): Value {
  return nodeOf(net, "ReduceSum", [of, net.ints("axes", axes)], axes.length > 1 ? ["N", 1, 1] : ["N", 2, 1]);
}

test("what only looks like a softmax or a slope stays", () => {
  // The sum over two axes, and of other exponentials.
  const overTwo = lookalike((net, x) => {
    const e = nodeOf(net, "Exp", [x]);
    return nodeOf(net, "Div", [e, sumOver(net, e, [1, 2])]);
  });
  expect(overTwo).toEqual(["Exp", "ReduceSum", "Div"]);
  const ofOthers = lookalike((net, x) => {
    const e = nodeOf(net, "Exp", [nodeOf(net, "Neg", [x])]);
    return nodeOf(net, "Div", [nodeOf(net, "Exp", [x]), sumOver(net, e, [2])]);
  });
  expect(ofOthers).not.toContain("Softmax");
  // Steeper than x, capped elsewhere, and a slope that makes the result larger than x.
  const steep = lookalike((net, x) =>
    nodeOf(net, "Max", [x, nodeOf(net, "Mul", [x, net.constant("s", float32([], [2]))])]),
  );
  expect(steep).toEqual(["Mul", "Max"]);
  const elsewhere = lookalike((net, x) => {
    const low = nodeOf(net, "Min", [x, net.constant("c", float32([], [1e-7]))]);
    return nodeOf(net, "Add", [
      nodeOf(net, "Relu", [x]),
      nodeOf(net, "Mul", [low, net.constant("s", float32([], [0.5]))]),
    ]);
  });
  expect(elsewhere).toEqual(["Min", "Relu", "Mul", "Add"]);
  const larger = lookalike((net, x) => {
    const slopes = net.constant("s", float32([4, 1, 1, 1], [1, 2, 3, 4]));
    const low = nodeOf(
      net,
      "Mul",
      [nodeOf(net, "Min", [x, net.constant("c", float32([], [0]))]), slopes],
      [4, "N", 2, 3],
    );
    return nodeOf(net, "Add", [nodeOf(net, "Relu", [x]), low], [4, "N", 2, 3]);
  });
  expect(larger).not.toContain("PRelu");
});

test("a pass that meets taken names gives others", () => {
  const names = valuesOf(normalize(spelledNetwork(3, 20))).map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});
