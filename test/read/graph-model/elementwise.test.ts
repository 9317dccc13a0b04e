// Oracle: tfjs. Operators that work element by element, and their broadcasting within convolutional networks.

import { type Chance } from "../../support/layer-cases.js";
import {
  f,
  ints,
  node,
  type OpCase,
  realWeight,
  s,
  type TestGraph,
  type TestInput,
  testOps,
  type TestWeight,
  type,
} from "../../support/graph-models.js";

type Pair = { readonly inputs: Record<string, TestInput>; readonly weights?: Record<string, TestWeight> };

const INTS = { dtype: "int32", below: 7 } as const;
const NONZERO = { range: [0.5, 3] } as const;

/** Two operands of shapes that broadcast, of which one may be a weight. */
function operands(c: Chance, more: Partial<TestInput> = {}): Pair {
  const [a, b] = c.pick([
    [[null, 4, 3], [3]],
    [
      [null, 4, 3],
      [null, 1, 3],
    ],
    [[null, 4, 4, 3], [1]],
    [
      [2, 3],
      [2, 3],
    ],
  ] as [(number | null)[], (number | null)[]][]);
  return { inputs: { a: { shape: a, ...more }, b: { shape: b, ...more } } };
}

function binary(op: string, more: Partial<TestInput> = {}): OpCase {
  return {
    title: op + (more.dtype === undefined ? "" : ` of ${more.dtype}`),
    graph: (c) => ({ ...operands(c, more), nodes: [node("y", op, ["a", "b"])], outputs: ["y"] }),
  };
}

function unary(op: string, more: Partial<TestInput> = {}, attr: Parameters<typeof node>[3] = {}): OpCase {
  return {
    title: op + (more.dtype === undefined ? "" : ` of ${more.dtype}`),
    graph: () => ({
      inputs: { a: { shape: [null, 4, 3], ...more } },
      nodes: [node("y", op, ["a"], attr)],
      outputs: ["y"],
    }),
    seeds: 2,
  };
}

/** After a convolution, where channels stand first. */
function afterConv(
  title: string,
  nodes: TestGraph["nodes"],
  weights: (c: Chance) => Record<string, TestWeight>,
): OpCase {
  return {
    title: `after a convolution: ${title}`,
    graph: (c) => ({
      inputs: { x: { shape: [null, 4, 4, 2] } },
      weights: { w: realWeight(c, 2, 2, 2, 3), ...weights(c) },
      nodes: [
        node("c", "Conv2D", ["x", "w"], {
          strides: ints(1, 1, 1, 1),
          dilations: ints(1, 1, 1, 1),
          padding: s("SAME"),
        }),
        ...nodes,
      ],
      outputs: ["y"],
    }),
    seeds: 2,
  };
}

testOps([
  ...["Add", "AddV2", "Sub", "Mul", "Maximum", "Minimum", "SquaredDifference"].flatMap((op) => [
    binary(op),
    binary(op, INTS),
  ]),
  binary("Pow", NONZERO),
  ...["Div", "RealDiv", "FloorDiv", "FloorMod", "Mod"].map((op) => binary(op)),
  {
    title: "FloorDiv, Div, FloorMod of int32, of either sign",
    graph: () => ({
      inputs: { a: { shape: [40], dtype: "int32", below: 40 }, b: { shape: [40], dtype: "int32", below: 7 } },
      weights: {
        twenty: { shape: [], data: [20], dtype: "int32" },
        sign: { shape: [2, 1], data: [1, -1], dtype: "int32" },
        one: { shape: [], data: [1], dtype: "int32" },
      },
      nodes: [
        node("n", "Sub", ["a", "twenty"]),
        node("d", "Mul", ["d1", "sign"]),
        node("d1", "AddV2", ["b", "one"]),
        node("q", "FloorDiv", ["n", "d"]),
        node("q2", "Div", ["n", "d"]),
        node("r", "FloorMod", ["n", "d"]),
      ],
      outputs: ["q", "q2", "r"],
    }),
  },
  binary("Atan2"),
  {
    title: "Atan2 along the axes",
    graph: () => ({
      inputs: { a: { shape: [12], dtype: "int32", below: 3 }, b: { shape: [12], dtype: "int32", below: 3 } },
      weights: { one: { shape: [], data: [1] } },
      nodes: [
        ...["a", "b"].map((name) => node(`${name}_real`, "Cast", [name], { DstT: type("DT_FLOAT") })),
        ...["a", "b"].map((name) => node(`${name}_moved`, "Sub", [`${name}_real`, "one"])),
        node("y", "Atan2", ["a_moved", "b_moved"]),
      ],
      outputs: ["y"],
    }),
  },
  {
    title: "DivNoNan",
    graph: () => ({
      inputs: { a: { shape: [null, 6] }, b: { shape: [6], dtype: "int32", below: 3 } },
      nodes: [node("d", "Cast", ["b"], { DstT: type("DT_FLOAT") }), node("y", "DivNoNan", ["a", "d"])],
      outputs: ["y"],
    }),
  },
  {
    title: "AddN",
    graph: (c) => ({
      inputs: { a: { shape: [null, 3] }, b: { shape: [null, 3] }, d: { shape: [null, 3] } },
      nodes: [
        node(
          "y",
          "AddN",
          c.pick([
            ["a", "b"],
            ["a", "b", "d"],
          ]),
        ),
      ],
      outputs: ["y"],
    }),
  },
  ...["Equal", "NotEqual", "Greater", "GreaterEqual", "Less", "LessEqual"].map((op) => binary(op, INTS)),
  ...["LogicalAnd", "LogicalOr"].map((op) => binary(op, { dtype: "bool" })),
  unary("LogicalNot", { dtype: "bool" }),
  {
    title: "Select and SelectV2",
    graph: (c) => ({
      inputs: { k: { shape: [null, 3], dtype: "bool" }, a: { shape: [null, 3] }, b: { shape: [null, 3] } },
      nodes: [node("y", c.pick(["Select", "SelectV2"]), ["k", "a", "b"])],
      outputs: ["y"],
    }),
  },
  ...["Abs", "Neg", "Sign"].flatMap((op) => [unary(op), unary(op, INTS)]),
  ...["Acos", "Asin", "Atanh"].map((op) => unary(op, { range: [-0.95, 0.95] })),
  ...["Acosh"].map((op) => unary(op, { range: [1.01, 4] })),
  ...["Asinh", "Atan", "Ceil", "Cos", "Cosh", "Elu", "Erf", "Exp", "Expm1", "Floor", "Relu", "Relu6"].map(
    (op) => unary(op, { range: [-7, 7] }),
  ),
  ...["Round", "Selu", "Sigmoid", "Sin", "Sinh", "Softplus", "Square", "Tan", "Tanh"].map((op) =>
    unary(op, { range: [-1.5, 1.5] }),
  ),
  ...["Log", "Log1p", "Reciprocal", "Rsqrt", "Sqrt"].map((op) => unary(op, NONZERO)),
  unary("LeakyRelu", {}, { alpha: f(0.3) }),
  {
    title: "IsNan, IsInf, IsFinite",
    graph: () => ({
      inputs: { a: { shape: [3, 4], dtype: "int32", below: 3 } },
      weights: { zero: { shape: [], data: [0] } },
      nodes: [
        node("r", "Cast", ["a"], { DstT: type("DT_FLOAT") }),
        node("x", "Div", ["r", "zero"]),
        node("n", "IsNan", ["x"]),
        node("i", "IsInf", ["x"]),
        node("f", "IsFinite", ["x"]),
      ],
      outputs: ["n", "i", "f"],
    }),
  },
  {
    title: "ClipByValue and Prelu",
    graph: (c) => ({
      inputs: { a: { shape: [null, 4, 3] } },
      weights: {
        low: { shape: [], data: [-0.5] },
        high: { shape: [], data: [1.25] },
        alpha: realWeight(c, ...c.pick([[3], [4, 3]])),
      },
      nodes: [node("y", "ClipByValue", ["a", "low", "high"]), node("p", "Prelu", ["a", "alpha"])],
      outputs: ["y", "p"],
    }),
  },
  afterConv("a bias", [node("y", "BiasAdd", ["c", "k"])], (c) => ({ k: realWeight(c, 3) })),
  afterConv("a factor for each place", [node("y", "Mul", ["c", "k"])], (c) => ({
    k: realWeight(c, 4, 4, 3),
  })),
  afterConv("a scalar", [node("y", "Sub", ["k", "c"])], (c) => ({ k: realWeight(c) })),
  afterConv("a slope for each place", [node("y", "Prelu", ["c", "k"])], (c) => ({
    k: realWeight(c, 4, 4, 3),
  })),
  afterConv(
    "a tensor of fewer axes that the model computes",
    [node("m", "Mean", ["c", "axes"]), node("t", "Sigmoid", ["m"]), node("y", "Mul", ["c", "t"])],
    () => ({ axes: { shape: [3], data: [0, 1, 2], dtype: "int32" } }),
  ),
  afterConv("a residual", [node("r", "Relu", ["c"]), node("y", "AddV2", ["r", "c"])], () => ({})),
]);
