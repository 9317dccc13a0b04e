// Oracle: tfjs. Convolutions, what is fused into them, and pools.

import type { Chance } from "../../support/layer-cases.js";
import {
  f,
  i,
  ints,
  intWeight,
  node,
  type OpCase,
  realWeight,
  s,
  type TestGraph,
  testOps,
  texts,
} from "../../support/graph-models.js";

const ACTIVATIONS = ["Relu", "Relu6", "Elu", "Sigmoid", "LeakyRelu", "Prelu"];

function window(c: Chance): {
  kernel: [number, number];
  strides: [number, number];
  dilations: [number, number];
} {
  const dilated = c.number() < 0.3;
  return {
    kernel: [c.int(1, 3), c.int(1, 3)],
    strides: dilated ? [1, 1] : [c.int(1, 2), c.int(1, 2)],
    dilations: dilated ? [2, c.int(1, 2)] : [1, 1],
  };
}

function geometry(
  c: Chance,
  explicit: boolean,
): { kernel: [number, number]; attr: Readonly<Record<string, Readonly<Record<string, unknown>>>> } {
  const { kernel, strides, dilations } = window(c);
  const padding = explicit ? "EXPLICIT" : c.pick(["SAME", "VALID"]);
  const pads = Array.from({ length: 4 }, () => c.int(0, 1));
  return {
    kernel,
    attr: {
      strides: ints(1, ...strides, 1),
      dilations: ints(1, ...dilations, 1),
      padding: s(padding),
      data_format: s("NHWC"),
      explicit_paddings: explicit ? ints(0, 0, ...pads, 0, 0) : { list: {} },
    },
  };
}

function fused(
  c: Chance,
  op: string,
  filter: (kernel: [number, number]) => number[],
  filters: number,
): TestGraph {
  // tfjs gives no numbers for a depthwise LeakyRelu.
  const activation = c.pick(
    ["", ...ACTIVATIONS].filter((each) => op === "_FusedConv2D" || each !== "LeakyRelu"),
  );
  const { kernel, attr } = geometry(c, c.number() < 0.3);
  const prelu = activation === "Prelu";
  return {
    inputs: { x: { shape: [null, 7, 6, 3] } },
    weights: {
      w: realWeight(c, ...filter(kernel)),
      bias: realWeight(c, filters),
      ...(prelu && { alpha: realWeight(c, ...c.pick([[filters], [1, 1, filters]])) }),
    },
    nodes: [
      node("y", op, prelu ? ["x", "w", "bias", "alpha"] : ["x", "w", "bias"], {
        ...attr,
        fused_ops: activation === "" ? texts("BiasAdd") : texts("BiasAdd", activation),
        num_args: i(prelu ? 2 : 1),
        epsilon: f(0),
        leakyrelu_alpha: f(0.3),
      }),
    ],
    outputs: ["y"],
  };
}

function pool(c: Chance, op: string): TestGraph {
  const kernel = [c.int(1, 3), c.int(1, 3)];
  return {
    inputs: { x: { shape: [null, 7, 6, 2] } },
    nodes: [
      node("y", op, ["x"], {
        ksize: ints(1, ...kernel, 1),
        strides: ints(1, c.int(1, 3), c.int(1, 3), 1),
        padding: s(c.pick(["SAME", "VALID"])),
        data_format: s("NHWC"),
      }),
    ],
    outputs: ["y"],
  };
}

testOps([
  ...["SAME", "VALID"].map((padding): OpCase => ({
    title: `Conv2D, ${padding}, of an image that is brought into another range`,
    graph: (c) => ({
      inputs: { x: { shape: [null, 6, 7, 3], range: [0, 255] } },
      weights: {
        mean: { shape: [3], data: [103.9, 116.8, 123.7] },
        by: { shape: [3], data: [0.0078, 0.0079, 0.008] },
        w: realWeight(c, 3, 3, 3, 2),
      },
      nodes: [
        node("m", "Sub", ["x", "mean"]),
        node("n", "Mul", ["m", "by"]),
        node("y", "Conv2D", ["n", "w"], {
          strides: ints(1, 2, 2, 1),
          dilations: ints(1, 1, 1, 1),
          padding: s(padding),
        }),
      ],
      outputs: ["y"],
    }),
  })),
  {
    title: "Conv2D",
    graph(c) {
      const { kernel, attr } = geometry(c, c.number() < 0.3);
      return {
        inputs: { x: { shape: [null, 7, 6, 3] } },
        weights: { w: realWeight(c, ...kernel, 3, 4) },
        nodes: [node("y", "Conv2D", ["x", "w"], attr)],
        outputs: ["y"],
      };
    },
  },
  {
    title: "Conv2D of an open size",
    graph: (c) => ({
      inputs: { x: { shape: [null, null, null, 3] } },
      weights: { w: realWeight(c, 3, 3, 3, 4) },
      nodes: [
        node("y", "Conv2D", ["x", "w"], {
          strides: ints(1, 2, 2, 1),
          dilations: ints(1, 1, 1, 1),
          padding: s(c.pick(["SAME", "VALID"])),
        }),
      ],
      outputs: ["y"],
    }),
  },
  {
    title: "Conv2D with a filter that the model computes",
    graph: () => ({
      inputs: { x: { shape: [null, 5, 5, 2] }, w: { shape: [2, 2, 2, 3] } },
      nodes: [
        node("y", "Conv2D", ["x", "w"], {
          strides: ints(1, 1, 1, 1),
          dilations: ints(1, 1, 1, 1),
          padding: s("SAME"),
        }),
      ],
      outputs: ["y"],
    }),
  },
  {
    title: "_FusedConv2D",
    graph: (c) => fused(c, "_FusedConv2D", (kernel) => [...kernel, 3, 4], 4),
    seeds: 12,
  },
  {
    title: "FusedDepthwiseConv2dNative",
    graph: (c) => fused(c, "FusedDepthwiseConv2dNative", (kernel) => [...kernel, 3, 2], 6),
    seeds: 12,
  },
  {
    title: "DepthwiseConv2dNative",
    graph(c) {
      const { kernel, attr } = geometry(c, c.number() < 0.3);
      return {
        inputs: { x: { shape: [null, 7, 6, 3] } },
        weights: { w: realWeight(c, ...kernel, 3, c.int(1, 2)) },
        nodes: [node("y", c.pick(["DepthwiseConv2dNative", "DepthwiseConv2d"]), ["x", "w"], attr)],
        outputs: ["y"],
      };
    },
  },
  {
    title: "Conv3D",
    graph: (c) => ({
      inputs: { x: { shape: [null, 4, 5, 4, 2] } },
      weights: { w: realWeight(c, 2, 3, 2, 2, 3) },
      nodes: [
        node("y", "Conv3D", ["x", "w"], {
          strides: ints(1, 1, c.int(1, 2), 1, 1),
          dilations: ints(1, 1, 1, 1, 1),
          padding: s(c.pick(["SAME", "VALID"])),
          data_format: s("NDHWC"),
        }),
      ],
      outputs: ["y"],
    }),
  },
  {
    title: "Conv2DBackpropInput",
    graph(c) {
      const [k, stride, size] = [c.int(1, 4), c.int(1, 3), c.int(3, 5)];
      const padding = c.pick(["SAME", "VALID"]);
      // Any size that the convolution would bring back to this one.
      const least = padding === "SAME" ? (size - 1) * stride + 1 : (size - 1) * stride + k;
      const want = [least + c.int(0, stride - 1), least + c.int(0, stride - 1)];
      return {
        inputs: { x: { shape: [2, size, size, 3] } },
        weights: { w: realWeight(c, k, k, 4, 3), sizes: intWeight([4], 2, ...want, 4) },
        nodes: [
          node("y", "Conv2DBackpropInput", ["sizes", "w", "x"], {
            strides: ints(1, stride, stride, 1),
            padding: s(padding),
          }),
        ],
        outputs: ["y"],
      };
    },
    seeds: 12,
  },
  { title: "MaxPool", graph: (c) => pool(c, "MaxPool"), seeds: 8 },
  { title: "AvgPool", graph: (c) => pool(c, "AvgPool"), seeds: 8 },
  {
    title: "MaxPool3D and AvgPool3D",
    graph: (c) => ({
      inputs: { x: { shape: [null, 4, 5, 4, 2] } },
      nodes: ["MaxPool3D", "AvgPool3D"].map((op, k) =>
        node(`y${k}`, op, ["x"], {
          ksize: ints(1, 2, 2, c.int(1, 2), 1),
          strides: ints(1, 2, 1, 2, 1),
          padding: s(c.pick(["SAME", "VALID"])),
          data_format: s("NDHWC"),
        }),
      ),
      outputs: ["y0", "y1"],
    }),
  },
]);
