// Dilated convolutions spelled as blocks. Oracle: tfjs on the file as it stands; what is left of it is one convolution.

import { describe, expect, test } from "vitest";
import { chance, type Chance } from "../../support/layer-cases.js";
import {
  compareGraphModel,
  f,
  b,
  ints,
  intWeight,
  node,
  readTestGraph,
  realWeight,
  s,
  type TestGraph,
  type TestNode,
  texts,
} from "../../support/graph-models.js";

const TOLERANCE = 1e-5;
const valid = {
  strides: ints(1, 1, 1, 1),
  dilations: ints(1, 1, 1, 1),
  padding: s("VALID"),
  data_format: s("NHWC"),
};

interface Spelling {
  readonly op: string;
  /** Fused into the convolution. */
  readonly fused?: readonly string[];
  /** Between the convolution and the blocks' end, from "c" to the last one's name. */
  readonly between?: readonly TestNode[];
  readonly crop?: "rest" | "none" | "more";
  readonly strides?: number;
  readonly also?: string;
}

/** Random blocks, borders and sizes, as TensorFlow chooses them: what is added to divide by the blocks is cut off again. */
function spelled(
  c: Chance,
  { op, fused = [], between = [], crop = "rest", strides = 1, also }: Spelling,
): TestGraph {
  const blocks = [c.int(1, 3), c.int(2, 3)];
  const kernel = [c.int(1, 3), c.int(2, 3)];
  const sizes = [c.int(7, 9), c.int(7, 9)];
  const margins = blocks.map((block, i) => {
    const reach = ((kernel[i] as number) - 1) * block;
    const around = c.int(0, 1) * reach;
    const before = Math.floor(around / 2);
    const lacks = -((sizes[i] as number) + around) % block;
    const rest = lacks < 0 ? lacks + block : 0;
    return { before, after: around - before + rest, rest };
  });
  const depthwise = op.includes("Depthwise");
  const cropped = { rest: 1, none: 0, more: 1 }[crop];
  const last = between.at(-1)?.name ?? "c";
  return {
    inputs: { x: { shape: [c.pick([null, 2]), ...sizes, 2] } },
    weights: {
      w: realWeight(c, ...kernel, 2, depthwise ? 2 : 4),
      bias: realWeight(c, 4),
      scale: { shape: [4], data: [0.5, 1, 2, 1.5] },
      blocks: intWeight([2], ...blocks),
      pads: intWeight([2, 2], ...margins.flatMap(({ before, after }) => [before, after])),
      crops: intWeight(
        [2, 2],
        ...margins.flatMap(({ before, rest }) => [crop === "more" ? before + 1 : 0, rest * cropped]),
      ),
    },
    nodes: [
      node("s", "SpaceToBatchND", ["x", "blocks", "pads"]),
      node("c", op, ["s", "w", ...(fused.length > 0 ? ["bias"] : [])], {
        ...valid,
        strides: ints(1, strides, strides, 1),
        ...(fused.length > 0 ? { fused_ops: texts(...fused), num_args: { i: "1" } } : {}),
      }),
      ...between,
      node("y", "BatchToSpaceND", [last, "blocks", "crops"]),
      node("z", "Relu", ["y"]),
    ],
    outputs: ["z", ...(also ? [also] : [])],
  };
}

const NORMAL = { epsilon: f(0.01), is_training: b(false), data_format: s("NHWC") };

async function operators(graph: TestGraph, seed: number): Promise<string[]> {
  const { difference, read } = await compareGraphModel(graph, seed);
  expect(difference, `seed ${seed}`).toBeLessThan(TOLERANCE);
  return read.nodes.map(({ op }) => op).filter((op) => op !== "Transpose");
}

describe("blocks around a convolution are its dilations", () => {
  test.each<[string, Spelling, string[]]>([
    ["Conv2D", { op: "Conv2D" }, ["Conv", "Relu"]],
    ["whose rest stays", { op: "Conv2D", crop: "none" }, ["Conv", "Relu"]],
    ["depthwise", { op: "DepthwiseConv2dNative" }, ["Conv", "Relu"]],
    ["with a fused bias", { op: "_FusedConv2D", fused: ["BiasAdd", "Relu6"] }, ["Conv", "Clip", "Relu"]],
    [
      "with a bias before the end",
      { op: "Conv2D", between: [node("d", "BiasAdd", ["c", "bias"])] },
      ["Conv", "Relu"],
    ],
    [
      "normalized before the end",
      {
        op: "Conv2D",
        between: [node("d", "FusedBatchNormV3", ["c", "scale", "bias", "bias", "scale"], NORMAL)],
      },
      ["Conv", "BatchNormalization", "Relu"],
    ],
  ])("%s", async (_, spelling, expected) => {
    for (let seed = 1; seed <= 6; seed++) {
      expect(await operators(spelled(chance(seed * 31), spelling), seed)).toEqual(expected);
    }
  });

  test("of a convolution over one axis", async () => {
    for (let seed = 1; seed <= 6; seed++) {
      const c = chance(seed * 17);
      const [block, width, axis] = [c.int(2, 4), c.int(1, 3), c.pick([1, -3, 2, -2])];
      const isFirst = axis === 1 || axis === -3;
      const size = 12 - (width - 1) * block;
      const graph: TestGraph = {
        inputs: { x: { shape: [null, Math.ceil(size / block) * block, 3] } },
        weights: {
          w: realWeight(c, ...(isFirst ? [1, width] : [width, 1]), 3, 4),
          at: intWeight([], axis),
          blocks: intWeight([1], block),
          // Only from before, as causal ones are.
          pads: intWeight([1, 2], (width - 1) * block, 0),
          crops: intWeight([1, 2], 0, 0),
          bias: realWeight(c, 4),
        },
        nodes: [
          node("s", "SpaceToBatchND", ["x", "blocks", "pads"]),
          node("e", "ExpandDims", ["s", "at"]),
          node("c", "Conv2D", ["e", "w"], valid),
          node("q", "Squeeze", ["c"], { squeeze_dims: ints(axis) }),
          node("y", "BatchToSpaceND", ["q", "blocks", "crops"]),
          node("z", "BiasAdd", ["y", "bias"]),
        ],
        outputs: ["z"],
      };
      const left = await operators(graph, seed);
      expect(left).toContain("Conv");
      expect(left.filter((op) => ["Reshape", "Slice", "Pad"].includes(op))).toEqual([]);
    }
  });
});

describe("blocks stay", () => {
  test.each<[string, Spelling]>([
    ["where more is cut off than was put around", { op: "Conv2D", crop: "more" }],
    ["where something else reads the convolution", { op: "Conv2D", also: "c" }],
    ["where the convolution has strides", { op: "Conv2D", strides: 2 }],
    [
      "where what stands between is no function of one element",
      { op: "Conv2D", between: [node("d", "Softmax", ["c"])] },
    ],
  ])("%s", async (_, spelling) => {
    const left = await operators(spelled(chance(5), spelling), 1);
    expect(left).toContain("Reshape");
  });

  test("and what contradicts itself in them is told", () => {
    const graph = spelled(chance(3), { op: "Conv2D" });
    const weights = { ...graph.weights, pads: intWeight([2, 2], 0, 0, 0, 0), blocks: intWeight([2], 1, 5) };
    expect(() => readTestGraph({ ...graph, weights })).toThrow(/s \(SpaceToBatchND\): cuts \d+ in 5/);
  });
});

test("of an open size the padding is added to it", () => {
  const graph: TestGraph = {
    inputs: { x: { shape: [1, null, 6, 2] } },
    weights: {
      w: realWeight(chance(1), 3, 3, 2, 4),
      blocks: intWeight([2], 1, 2),
      pads: intWeight([2, 2], 1, 1, 2, 2),
      crops: intWeight([2, 2], 0, 0, 0, 0),
    },
    nodes: [
      node("s", "SpaceToBatchND", ["x", "blocks", "pads"]),
      node("c", "Conv2D", ["s", "w"], valid),
      node("y", "BatchToSpaceND", ["c", "blocks", "crops"]),
    ],
    outputs: ["y"],
  };
  const conv = readTestGraph(graph).nodes.find(({ op }) => op === "Conv");
  expect(conv?.attributes).toMatchObject({ pads: [1, 2, 1, 2], dilations: [1, 2] });
});
