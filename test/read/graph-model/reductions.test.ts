// Oracle: tfjs. What runs over axes, products of matrices, and normalization.

import type { Chance } from "../../support/layer-cases.js";
import {
  b,
  conv,
  f,
  i,
  intWeight,
  node,
  type OpCase,
  realWeight,
  s,
  type TestGraph,
  testOps,
  texts,
} from "../../support/graph-models.js";

function afterConv(
  title: string,
  graph: (c: Chance) => Pick<TestGraph, "nodes" | "outputs" | "weights">,
  seeds = 8,
): OpCase {
  return {
    title,
    seeds,
    graph(c) {
      const { nodes, weights, outputs } = graph(c);
      return {
        inputs: { x: { shape: [null, 4, 3, 2] } },
        weights: { w: realWeight(c, 2, 2, 2, 3), ...weights },
        nodes: [conv, ...nodes],
        outputs,
      };
    },
  };
}

const AXES = [[1, 2], [-1], [0], [1], [2, 3], [0, 1, 2, 3], [0, 3], [-2, -3], [1, 2, 3], [0, 1]];

function axesWeight(c: Chance, most = 4): ReturnType<typeof intWeight> {
  const axes = c.pick(AXES.filter(({ length }) => length <= most));
  return intWeight([axes.length], ...axes);
}

testOps([
  ...["Mean", "Sum", "Max", "Min", "Prod", "EuclideanNorm"].map((op) =>
    afterConv(op, (c) => ({
      // tfjs has norms over two axes at most.
      weights: { axes: axesWeight(c, op === "EuclideanNorm" ? 2 : 4) },
      nodes: [node("y", op, ["c", "axes"], { keep_dims: b(c.number() < 0.4) })],
      outputs: ["y"],
    })),
  ),
  {
    title: "Sum, Max, Prod of int32, All and Any",
    graph: (c) => ({
      inputs: { n: { shape: [2, 3, 4], dtype: "int32" }, q: { shape: [2, 3, 4], dtype: "bool" } },
      weights: { axes: intWeight([2], 0, c.int(1, 2)) },
      nodes: [
        ...["Sum", "Max", "Prod"].map((op, k) =>
          node(`n${k}`, op, ["n", "axes"], { keep_dims: b(c.number() < 0.5) }),
        ),
        ...["All", "Any"].map((op, k) =>
          node(`q${k}`, op, ["q", "axes"], { keep_dims: b(c.number() < 0.5) }),
        ),
      ],
      outputs: ["n0", "n1", "n2", "q0", "q1"],
    }),
  },
  afterConv("ArgMax and ArgMin", (c) => ({
    weights: { axis: intWeight([], c.int(-1, 3)) },
    nodes: [node("y", "ArgMax", ["c", "axis"]), node("z", "ArgMin", ["c", "axis"])],
    outputs: ["y", "z"],
  })),
  afterConv("Cumsum", (c) => ({
    weights: { axis: intWeight([], c.int(0, 3)) },
    nodes: [
      node("y", "Cumsum", ["c", "axis"], { exclusive: b(c.number() < 0.5), reverse: b(c.number() < 0.5) }),
    ],
    outputs: ["y"],
  })),
  afterConv(
    "Softmax and LogSoftmax",
    () => ({
      nodes: [node("y", "Softmax", ["c"]), node("z", "LogSoftmax", ["c"])],
      outputs: ["y", "z"],
    }),
    1,
  ),
  ...["FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"].map((op) =>
    afterConv(
      op,
      (c) => ({
        weights: {
          scale: realWeight(c, 3),
          offset: realWeight(c, 3),
          mean: realWeight(c, 3),
          variance: { shape: [3], data: [0.3, 1.5, 2] },
        },
        nodes: [
          node("y", op, ["c", "scale", "offset", "mean", "variance"], {
            epsilon: f(0.01),
            is_training: b(false),
            data_format: s("NHWC"),
          }),
        ],
        outputs: ["y"],
      }),
      1,
    ),
  ),
  {
    title: "MatMul and _FusedMatMul with a weight",
    graph(c) {
      const [ta, tb] = [c.number() < 0.3, c.number() < 0.5];
      const activation = c.pick(["", "Relu", "Relu6", "Elu", "Sigmoid", "LeakyRelu", "Prelu"]);
      const prelu = activation === "Prelu";
      return {
        inputs: { x: { shape: ta ? [5, 3] : [null, 5] } },
        weights: {
          w: realWeight(c, ...(tb ? [4, 5] : [5, 4])),
          bias: realWeight(c, 4),
          ...(prelu && { alpha: realWeight(c, 4) }),
        },
        nodes: [
          node("m", "MatMul", ["x", "w"], { transpose_a: b(ta), transpose_b: b(tb) }),
          node("y", "_FusedMatMul", prelu ? ["x", "w", "bias", "alpha"] : ["x", "w", "bias"], {
            transpose_a: b(ta),
            transpose_b: b(tb),
            fused_ops: activation === "" ? texts("BiasAdd") : texts("BiasAdd", activation),
            num_args: i(prelu ? 2 : 1),
            epsilon: f(0),
            leakyrelu_alpha: f(0.3),
          }),
        ],
        outputs: ["m", "y"],
      };
    },
    seeds: 12,
  },
  {
    title: "BatchMatMul of computed matrices, and Einsum",
    graph(c) {
      const [ta, tb] = [c.number() < 0.5, c.number() < 0.5];
      return {
        inputs: {
          a: { shape: [2, 3, ...(ta ? [5, 4] : [4, 5])] },
          d: { shape: [2, 3, ...(tb ? [2, 5] : [5, 2])] },
        },
        nodes: [
          node("y", c.pick(["BatchMatMul", "BatchMatMulV2"]), ["a", "d"], { adj_x: b(ta), adj_y: b(tb) }),
          node("e", "Einsum", ["a", "d"], {
            equation: s(`nh${ta ? "ki" : "ik"},nh${tb ? "jk" : "kj"}->nij`),
            N: i(2),
          }),
        ],
        outputs: ["y", "e"],
      };
    },
  },
]);
