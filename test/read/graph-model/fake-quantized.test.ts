// Ranges of quantization-aware training in TensorFlow: the network is what tfjs computes, the ranges are learned scales.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exportModel } from "../../../src/export/export-model.js";
import { printGraph } from "../../../src/graph/print.js";
import { openModel } from "../../../src/open/open-model.js";
import { parity } from "../../../src/parity/parity.js";
import type { LearnedQuantizer } from "../../../src/quant/learned.js";
import { chance } from "../../support/layer-cases.js";
import {
  b,
  compareGraphModel,
  f,
  i,
  ints,
  node,
  readTestGraph,
  realWeight,
  s,
  type TestGraph,
  type TestNode,
  type TestWeight,
  writeGraphModel,
} from "../../support/graph-models.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "qdg-fake-quantized-"));
});
afterAll(() => rm(folder, { recursive: true }));

const window = { strides: ints(1, 1, 1, 1), dilations: ints(1, 1, 1, 1), padding: s("SAME") };
const BITS: Readonly<Record<string, number>> = { relu_q: 4 };

interface Made {
  readonly ranges?: Readonly<Record<string, readonly [number, number]>>;
  readonly narrow?: readonly string[];
  readonly rounded?: boolean;
  readonly extra?: readonly TestNode[];
}

/** Two convolutions, the second one's weights with a range a channel, a mean and a dense layer whose weights are not rounded. */
function network({ ranges = {}, narrow = ["w_q", "v_q"], rounded = true, extra = [] }: Made = {}): TestGraph {
  const weights: Record<string, TestWeight> = {
    w: realWeight(chance(1), 3, 3, 3, 4),
    v: realWeight(chance(2), 3, 3, 4, 2),
    k: realWeight(chance(3), 2, 3),
    space: { shape: [2], data: [1, 2], dtype: "int32" },
    "v_q/min": { shape: [2], data: [-1.27, -2.54] },
    "v_q/max": { shape: [2], data: [1.27, 2.54] },
  };
  const given: Record<string, readonly [number, number]> = {
    x_q: [-1, 1],
    w_q: [-1.27, 1.27],
    relu_q: [0, 6],
    two_q: [-3, 1],
    mean_q: [-2, 2],
    ...ranges,
  };
  const round = (name: string, of: string, op = "FakeQuantWithMinMaxVars"): TestNode => {
    const [min, max] = given[name] ?? [0, 0];
    if (op === "FakeQuantWithMinMaxVars") {
      weights[`${name}/min`] = { shape: [], data: [min] };
      weights[`${name}/max`] = { shape: [], data: [max] };
    }
    const inputs = op === "FakeQuantWithMinMaxArgs" ? [] : [`${name}/min`, `${name}/max`];
    const attributes = op === "FakeQuantWithMinMaxArgs" ? { min: f(min), max: f(max) } : {};
    return node(
      name,
      rounded ? op : "Identity",
      rounded ? [of, ...inputs] : [of],
      rounded ? { num_bits: i(BITS[name] ?? 8), narrow_range: b(narrow.includes(name)), ...attributes } : {},
    );
  };
  return {
    inputs: { x: { shape: [null, 8, 8, 3], range: [-1, 1] } },
    nodes: [
      round("x_q", "x"),
      round("w_q", "w"),
      node("one", "Conv2D", ["x_q", "w_q"], window),
      node("relu", "Relu", ["one"]),
      round("relu_q", "relu"),
      round("v_q", "v", "FakeQuantWithMinMaxVarsPerChannel"),
      node("two", "Conv2D", ["relu_q", "v_q"], window),
      round("two_q", "two", "FakeQuantWithMinMaxArgs"),
      node("mean", "Mean", ["two_q", "space"]),
      round("mean_q", "mean"),
      node("logits", "MatMul", ["mean_q", "k"]),
      ...extra,
      node("y", "Softmax", [extra.at(-1)?.name ?? "logits"]),
    ],
    weights: rounded
      ? weights
      : Object.fromEntries(Object.entries(weights).filter(([name]) => !name.includes("/"))),
    outputs: ["y"],
  };
}

async function learnedOf(made?: Made): Promise<Record<string, LearnedQuantizer>> {
  const { learned } = await openModel(await writeGraphModel(folder, network(made)));
  return Object.fromEntries(learned?.quantizers ?? []);
}

const unsigned = (scale: number, zeroPoint = 0, bits = 8): LearnedQuantizer => ({
  bits,
  signed: false,
  scale: Float32Array.of(scale),
  ...(zeroPoint === 0 ? {} : { zeroPoint: Int32Array.of(zeroPoint) }),
});

describe("a graph-model with ranges of fake quantization", () => {
  test("has them as learned scales, by TensorFlow's rule for scale and zero point", async () => {
    const float = Math.fround;
    // 127.5 in exact numbers, less in those of TensorFlow.
    expect(await learnedOf()).toEqual({
      x_in: unsigned(float(2 / 255), 127),
      relu: unsigned(float(6 / 15), 0, 4),
      two: unsigned(float(4 / 255), 191),
      mean: unsigned(float(4 / 255), 127),
      "one/kernel": { bits: 8, signed: true, scale: Float32Array.of(float((2 * float(1.27)) / 254)) },
      "two/kernel": {
        bits: 8,
        signed: true,
        scale: Float32Array.of(float((2 * float(1.27)) / 254), float((2 * float(2.54)) / 254)),
      },
    });
  });

  test("is in real numbers what it is without them, as in tfjs", async () => {
    expect(printGraph(readTestGraph(network()))).toBe(printGraph(readTestGraph(network({ rounded: false }))));
    // tfjs knows one of the three operators.
    const { nodes, ...rest } = network();
    const known = nodes.filter(({ op }) => op === "FakeQuantWithMinMaxVars").map(({ name }) => name);
    expect(known).toEqual(["x_q", "w_q", "relu_q", "mean_q"]);
    const plain = nodes.map((each) =>
      each.op.startsWith("FakeQuant") && !known.includes(each.name)
        ? node(each.name, "Identity", each.input?.slice(0, 1) ?? [])
        : each,
    );
    const weights = Object.fromEntries(
      Object.entries(rest.weights ?? {}).filter(([name]) => !/^(v|two)_q/.test(name)),
    );
    expect((await compareGraphModel({ ...rest, nodes: plain, weights })).difference).toBeLessThan(1e-5);
  });

  test("is exported without data, with its bits, to a file that runtimes agree on", async () => {
    const model = await writeGraphModel(folder, network());
    const output = join(folder, "out.onnx");
    const { bits, scales } = await exportModel({ model, output, force: true });
    expect(scales).toBe("learned");
    expect(bits).toMatchObject({ one: [8, 4], two: [8, 8], logits: [8, 0] });
    const report = await parity({ model: output, data: ["random:20"], intermediates: true });
    const counts = report.targets.flatMap(({ tensors }) =>
      (tensors ?? []).map(({ mismatches }) => mismatches.count),
    );
    expect(counts.length).toBeGreaterThan(5);
    expect(counts.every((count) => count === 0)).toBe(true);
    expect(report.reasons).toEqual([]);
  });

  test("has none where they stand after the last weighted layer", async () => {
    const extra = [
      node("out_q", "FakeQuantWithMinMaxArgs", ["logits"], { min: f(-4), max: f(4), num_bits: i(8) }),
    ];
    expect(await learnedOf({ extra })).toEqual(await learnedOf());
  });
});

describe("ranges are refused by node, with what was expected", () => {
  test.each<[string, Made, RegExp]>([
    [
      "of a weight that is not around 0",
      { ranges: { w_q: [-1, 3] } },
      /w_q .*rounds a weight around the integer 65, expected its middle, 128/,
    ],
    [
      "that does not hold 0",
      { ranges: { relu_q: [1, 6] } },
      /relu_q .*got the range 1\.\.6, expected one around 0/,
    ],
    ["that is empty", { ranges: { relu_q: [0, 0] } }, /relu_q .*got the range 0\.\.0/],
    [
      "that is narrow, of an activation",
      { narrow: ["w_q", "v_q", "relu_q"] },
      /relu_q .*narrow_range: got true for an activation/,
    ],
  ])("%s", async (_, made, message) => {
    const path = await writeGraphModel(folder, network(made));
    await expect(openModel(path)).rejects.toThrow(message);
  });

  test("of what is read unrounded too", async () => {
    const graph = network();
    const nodes = graph.nodes.map((each) => (each.name === "y" ? { ...each, input: ["both"] } : each));
    const more = [
      node("raw", "Mean", ["relu", "space"]),
      node("raw_logits", "MatMul", ["raw", "m"]),
      node("both", "AddV2", ["logits", "raw_logits"]),
    ];
    const weights = { ...graph.weights, m: realWeight(chance(4), 4, 3) };
    const path = await writeGraphModel(folder, { ...graph, nodes: [...nodes, ...more], weights });
    await expect(openModel(path)).rejects.toThrow(/raw: reads what relu_q rounds without its rounding/);
  });

  test("before a ReLU, where no quantizer stands", async () => {
    const graph = network();
    const nodes = graph.nodes.map((each) => (each.name === "relu" ? { ...each, input: ["early"] } : each));
    const early = node("early", "FakeQuantWithMinMaxArgs", ["one"], {
      min: f(-1),
      max: f(1),
      num_bits: i(8),
    });
    const path = await writeGraphModel(folder, { ...graph, nodes: [...nodes, early] });
    await expect(openModel(path)).rejects.toThrow(
      /early: rounds one, where qdg has no quantizer: expected after ReLU/,
    );
  });

  test("two that ought to be one", async () => {
    const graph = network();
    const nodes = graph.nodes.map((each) =>
      each.name === "mean" ? { ...each, input: ["sum", "space"] } : each,
    );
    const sum = node("sum", "AddV2", ["two_q", "three_q"]);
    const three = node("three", "Conv2D", ["relu_q", "v_q"], window);
    const rounded = node("three_q", "FakeQuantWithMinMaxArgs", ["three"], {
      min: f(-2),
      max: f(2),
      num_bits: i(8),
    });
    const path = await writeGraphModel(folder, { ...graph, nodes: [...nodes, three, rounded, sum] });
    await expect(openModel(path)).rejects.toThrow(
      /rounds to 8 bits of scale .*, expected one range for both/,
    );
  });
});
