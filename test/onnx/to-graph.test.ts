import { describe, expect, test } from "vitest";
import { float32, int64 } from "../../src/base/tensor.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Graph } from "../../src/graph/graph.js";
import { printGraph } from "../../src/graph/print.js";
import { verifyGraph } from "../../src/graph/verify.js";
import { decodeModel, encodeModel } from "../../src/onnx/codec.js";
import { attributeProto, graphToModel } from "../../src/onnx/from-graph.js";
import { bodyNode, localFunction } from "../../src/onnx/local-function.js";
import type {
  FunctionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  ValueInfoProto,
} from "../../src/onnx/model-proto.js";
import { ATTRIBUTE_TYPE } from "../../src/onnx/model-proto.js";
import { modelToGraph } from "../../src/onnx/to-graph.js";
import { verifyModel } from "../../src/onnx/verify.js";
import { runModel } from "./model-run.js";

const OPTIONS = { opset: 21, irVersion: 10, producerVersion: "0.1.0" };

const info = (name: string, shape: (number | string)[] = ["N", 4], elemType = 1): ValueInfoProto => ({
  name,
  type: {
    tensorType: {
      elemType,
      shape: { dim: shape.map((dim) => (typeof dim === "number" ? { dimValue: dim } : { dimParam: dim })) },
    },
  },
});

/** x [N, 4] -> nodes -> y. */
function modelOf(
  node: readonly NodeProto[],
  more: Partial<GraphProto> = {},
  functions: readonly FunctionProto[] = [],
): ModelProto {
  return {
    irVersion: 10,
    opsetImport: [{ version: 21 }, { domain: "qdg", version: 1 }],
    graph: { name: "g", node, input: [info("x")], output: [info("y")], ...more },
    ...(functions.length > 0 ? { functions } : {}),
  };
}

/** Functions in functions, attributes handed on, defaults, optional inputs, outputs passed through. */
const SCALE = localFunction({
  name: "Scale",
  inputs: ["x", "offset"],
  outputs: ["y", "same"],
  attributes: ["by"],
  nodes: [
    bodyNode("Constant", [], ["c"], { value_float: { ref: "by", type: ATTRIBUTE_TYPE.float } }),
    bodyNode("Mul", ["x", "c"], ["t"]),
    bodyNode("Clip", ["t", "offset"], ["y"]),
    bodyNode("Identity", ["x"], ["same"]),
  ],
  opset: 21,
});
const TWICE: FunctionProto = {
  ...localFunction({
    name: "Twice",
    inputs: ["x", "offset"],
    outputs: ["t", "s"],
    nodes: [
      bodyNode(
        "Scale",
        ["x", "offset"],
        ["t:1", "s"],
        { by: { ref: "factor", type: ATTRIBUTE_TYPE.float } },
        "qdg",
      ),
      bodyNode("Scale", ["t:1"], ["u", "v"], { by: { ref: "factor", type: ATTRIBUTE_TYPE.float } }, "qdg"),
      bodyNode("LeakyRelu", ["u"], ["t"], { alpha: { ref: "slope", type: ATTRIBUTE_TYPE.float } }),
    ],
    opset: 21,
  }),
  attributeProto: [attributeProto("factor", { float: 3 })],
  attribute: ["slope"],
};

const CALLS = modelOf(
  [
    // "a/t:1" is a name that inlining would like to give.
    { ...bodyNode("Relu", ["x"], ["a/t:1"]), name: "first" },
    {
      ...bodyNode("Twice", ["a/t:1", "low"], ["a", "through"], { slope: { float: 0.5 } }, "qdg"),
      name: "call_a",
    },
    bodyNode("Twice", ["x"], ["b", "rest"], { factor: { float: -0.25 } }, "qdg"),
    bodyNode("Add", ["a", "b"], ["ab"]),
    bodyNode("Add", ["ab", "through"], ["y"]),
  ],
  { initializer: [{ name: "low", dataType: 1, floatData: Float32Array.of(0.5) }] },
  [SCALE, TWICE],
);

describe("modelToGraph of graphToModel", () => {
  test("is the same graph", () => {
    const builder = new GraphBuilder("net");
    const x = builder.input("x", ["N", 3, 9, 9]);
    const w = builder.constant("w", float32([4, 3, 3, 3], new Float32Array(108).fill(0.5)));
    const attributes = { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] };
    const conv = builder.node("Conv", "conv", [x, w], { name: "conv", shape: ["N", 4, 5, 5] }, attributes);
    const leaky = builder.node(
      "LeakyRelu",
      "act",
      [conv],
      { name: "act", shape: ["N", 4, 5, 5] },
      { alpha: { float: 0.5 } },
    );
    const pool = builder.node("GlobalAveragePool", "pool", [leaky], { name: "pool", shape: ["N", 4, 1, 1] });
    const shape = builder.constant("shape", int64([2], [0, -1]));
    const flat = builder.node("Reshape", "flat", [pool, shape], { name: "flat", shape: ["N", 4] });
    const cast = builder.node(
      "Cast",
      "cast",
      [flat],
      { name: "cast", shape: ["N", 4], dtype: "int32" },
      { to: 6 },
    );
    builder.output(cast);
    const back = modelToGraph(decodeModel(encodeModel(graphToModel(builder.graph, OPTIONS))));
    verifyGraph(back);
    expect(printGraph(back)).toBe(printGraph(builder.graph));
  });
});

describe("functions", () => {
  test("are inlined to what ONNX Runtime computes when it inlines them itself", async () => {
    verifyModel(CALLS);
    const graph = modelToGraph(decodeModel(encodeModel(CALLS)));
    verifyGraph(graph);
    expect(graph.nodes.every(({ domain }) => domain === "")).toBe(true);
    const inlined = graphToModel(graph, OPTIONS);
    expect(inlined.functions).toBeUndefined();
    const feeds = { x: { shape: [2, 4], data: Float32Array.of(-2, -1, -0.25, 0, 0.1, 1, 2, 3) } };
    const expected = await runModel(CALLS, feeds);
    expect(new Set(expected["y"]?.data).size).toBeGreaterThan(4);
    expect(await runModel(inlined, feeds)).toEqual(expected);
  });

  test("leave names of the graph as they are and give unique ones inside, after the call's output", () => {
    expect(printGraph(modelToGraph(CALLS))).toBe(
      [
        "graph g(x: float32[N,4])",
        "  a/t:1: float32[N,4] = Relu(x) @first",
        "  a/t:1/t: float32[N,4] = Mul(a/t:1, a/t:1/c: float32[] = 3) @call_a",
        "  a/t:1:1: float32[N,4] = Clip(a/t:1/t, low: float32[] = 0.5) @call_a",
        "  through: float32[N,4] = Identity(a/t:1) @call_a",
        "  a/u/t: float32[N,4] = Mul(a/t:1:1, a/u/c: float32[] = 3) @call_a",
        "  a/u: float32[N,4] = Clip(a/u/t, _) @call_a",
        "  a/v: float32[N,4] = Identity(a/t:1:1) @call_a",
        "  a: float32[N,4] = LeakyRelu(a/u) {alpha=0.5} @call_a",
        "  b/t:1/t: float32[N,4] = Mul(x, b/t:1/c: float32[] = -0.25) @b",
        "  b/t:1: float32[N,4] = Clip(b/t:1/t, _) @b",
        "  rest: float32[N,4] = Identity(x) @b",
        "  b/u/t: float32[N,4] = Mul(b/t:1, b/u/c: float32[] = -0.25) @b",
        "  b/u: float32[N,4] = Clip(b/u/t, _) @b",
        "  b/v: float32[N,4] = Identity(b/t:1) @b",
        "  b: float32[N,4] = LeakyRelu(b/u)",
        "  ab: float32[N,4] = Add(a, b)",
        "  y: float32[N,4] = Add(ab, through)",
        "  return y",
        "",
      ].join("\n"),
    );
  });

  test("that hand an input through, or one value twice, become an Identity", () => {
    const pass = localFunction({ name: "Pass", inputs: ["x"], outputs: ["x", "x"], nodes: [], opset: 21 });
    const model = modelOf(
      [bodyNode("Pass", ["x"], ["a", "b"], {}, "qdg"), bodyNode("Add", ["a", "b"], ["y"])],
      {},
      [pass],
    );
    expect(printGraph(modelToGraph(model))).toContain(
      "  a: float32[N,4] = Identity(x)\n  b: float32[N,4] = Identity(x) @a\n  y: float32[N,4] = Add(a, b)",
    );
  });

  test("that call themselves are refused, directly or in a circle", () => {
    const selfish = localFunction({
      name: "F",
      inputs: ["x"],
      outputs: ["y"],
      nodes: [bodyNode("G", ["x"], ["y"], {}, "qdg")],
      opset: 21,
    });
    const other = { ...selfish, name: "G", node: [bodyNode("F", ["x"], ["y"], {}, "qdg")] };
    const model = modelOf([bodyNode("F", ["x"], ["y"], {}, "qdg")], {}, [selfish, other]);
    expect(() => modelToGraph(model)).toThrow(/function qdg\.F calls itself \(qdg\.F -> qdg\.G -> qdg\.F\)/);
    expect(() => verifyModel(model)).toThrow(/calls itself/);
  });

  test("that double at each level are refused before they fill the memory", () => {
    const functions = Array.from({ length: 40 }, (_, level) =>
      localFunction({
        name: `F${level}`,
        inputs: ["x"],
        outputs: ["y"],
        nodes: [
          level === 0 ? bodyNode("Relu", ["x"], ["t"]) : bodyNode(`F${level - 1}`, ["x"], ["t"], {}, "qdg"),
          level === 0 ? bodyNode("Relu", ["t"], ["y"]) : bodyNode(`F${level - 1}`, ["t"], ["y"], {}, "qdg"),
        ],
        opset: 21,
      }),
    );
    expect(() => modelToGraph(modelOf([bodyNode("F39", ["x"], ["y"], {}, "qdg")], {}, functions))).toThrow(
      /ONNX model: has more than 100000 nodes/,
    );
  });
});

describe("Constant nodes and initializers", () => {
  test("become constants, of every kind of value", () => {
    const graph = modelToGraph(
      modelOf([
        bodyNode("Constant", [], ["a"], { value: float32([1], [2]) }),
        bodyNode("Constant", [], ["b"], { value_float: { float: 3 } }),
        { opType: "Constant", output: ["c"], attribute: [{ name: "value_floats", type: 6, floats: [1, 2] }] },
        bodyNode("Constant", [], ["i"], { value_int: 0 }),
        bodyNode("Constant", [], ["j"], { value_ints: [0, -1] }),
        bodyNode("Mul", ["x", "a"], ["m"]),
        bodyNode("Mul", ["m", "b"], ["n"]),
        bodyNode("Add", ["n", "c"], ["o"]),
        bodyNode("Gather", ["o", "i"], ["p"]),
        bodyNode("Reshape", ["p", "j"], ["y"]),
      ]),
    );
    const constants = graph.nodes.flatMap(({ inputs }) => inputs.filter((input) => input?.constant));
    expect(
      constants.map((value) => [value?.dtype, value?.shape, [...(value?.constant?.data ?? [])]]),
    ).toEqual([
      ["float32", [1], [2]],
      ["float32", [], [3]],
      ["float32", [2], [1, 2]],
      ["int64", [], [0n]],
      ["int64", [2], [0n, -1n]],
    ]);
  });

  test("that are inputs too, as before IR version 4, are constants and not inputs", () => {
    const graph = modelToGraph(
      modelOf([bodyNode("Add", ["x", "b"], ["y"])], {
        input: [info("x"), info("b", [4])],
        initializer: [{ name: "b", dims: [4], dataType: 1, floatData: new Float32Array(4) }],
      }),
    );
    expect(graph.inputs.map(({ name }) => name)).toEqual(["x"]);
  });
});

const shapeOf = (graph: Graph, name: string): readonly (number | string)[] | undefined =>
  graph.nodes.flatMap(({ outputs }) => outputs).find((value) => value.name === name)?.shape;

describe("shapes", () => {
  test("that are not known are said to be not known, never a scalar", () => {
    const graph = modelToGraph(
      modelOf([
        bodyNode("Shape", ["x"], ["s"]),
        bodyNode("Slice", ["x", "s", "s"], ["t"]),
        bodyNode("Relu", ["t"], ["u"]),
        bodyNode("Add", ["u", "x"], ["y"]),
      ]),
    );
    expect(shapeOf(graph, "s")).toEqual([2]);
    expect(shapeOf(graph, "t")).toEqual(["..."]);
    expect(shapeOf(graph, "u")).toEqual(["..."]);
    expect(shapeOf(graph, "y")).toEqual(["N", 4]);
  });

  test("follow from the operators as ONNX Runtime computes them", async () => {
    const builder = new GraphBuilder("shapes");
    const unknown = ["..."];
    const node = (
      op: string,
      inputs: Parameters<typeof builder.node>[2],
      name: string,
      attributes = {},
      dtype: "float32" | "int64" = "float32",
    ) => builder.node(op, name, inputs, { name, shape: unknown, dtype }, attributes);
    const x = builder.input("x", [2, 3, 11, 13]);
    const filled = (shape: number[]) =>
      builder.constant("c", float32(shape, new Float32Array(shape.reduce((a, b) => a * b, 1))));
    const values = [
      node("Conv", [x, filled([4, 3, 3, 2])], "conv", {
        strides: [2, 3],
        pads: [1, 0, 2, 1],
        dilations: [2, 1],
      }),
      node("Conv", [x, filled([6, 1, 3, 3])], "same", { strides: [2, 2], group: 3, auto_pad: "SAME_UPPER" }),
      node("ConvTranspose", [x, filled([3, 5, 3, 2])], "deconv", {
        strides: [2, 3],
        pads: [1, 0, 1, 1],
        output_padding: [1, 2],
      }),
      node("MaxPool", [x], "max", { kernel_shape: [3, 2], strides: [2, 2], pads: [1, 0, 1, 1] }),
      node("AveragePool", [x], "average", { kernel_shape: [2, 2], auto_pad: "VALID" }),
      node("GlobalAveragePool", [x], "global"),
      node("Transpose", [x], "transpose", { perm: [0, 2, 3, 1] }),
      node("Flatten", [x], "flatten", { axis: 2 }),
      node("Reshape", [x, builder.ints("r", [0, -1, 11])], "reshape"),
      node("Unsqueeze", [x, builder.ints("u", [-1, 0])], "unsqueeze"),
      node(
        "Squeeze",
        [node("ReduceMean", [x, builder.ints("m", [1, 3])], "mean"), builder.ints("q", [1, -1])],
        "squeeze",
      ),
      node("ReduceSum", [x, builder.ints("k", [-1])], "sum", { keepdims: 0 }),
      node("ArgMax", [x], "arg", { axis: 1 }, "int64"),
      node("Concat", [x, x, filled([2, 1, 11, 13])], "concat", { axis: 1 }),
      node("Pad", [x, builder.ints("p", [0, 0, 1, 2, 0, 1, 0, 3])], "pad"),
      node("Gather", [x, builder.constant("g", int64([2, 2], [0, 1, 2, 0]))], "gather", { axis: 1 }),
      node("MatMul", [x, filled([3, 13, 7])], "matmul"),
      node("Gemm", [filled([4, 2]), filled([5, 4])], "gemm", { transA: 1, transB: 1 }),
      node("Add", [x, filled([3, 1, 13])], "add"),
      node("Expand", [filled([3, 1, 1]), builder.ints("e", [2, 1, 4, 1])], "expand"),
    ];
    for (const value of values) builder.output(value);
    const model = graphToModel(builder.graph, OPTIONS);
    const untyped = {
      ...model,
      graph: {
        ...model.graph,
        output:
          model.graph?.output?.map(({ name, type }) => ({
            name: name ?? "",
            type: { tensorType: { elemType: type?.tensorType?.elemType ?? 0 } },
          })) ?? [],
      },
    };
    const graph = modelToGraph(untyped);
    const results = await runModel(model, { x: { shape: [2, 3, 11, 13], data: new Float32Array(858) } });
    for (const { name } of values) expect([name, shapeOf(graph, name)]).toEqual([name, results[name]?.shape]);
  });
});

const unary = bodyNode("Relu", ["x"], ["y"]);

test.each<[string, ModelProto, string, RegExp]>([
  ["no graph", { irVersion: 10 }, "invalid-onnx", /has no graph/],
  [
    "control flow",
    modelOf([
      {
        ...bodyNode("If", ["x"], ["y"]),
        name: "branch",
        attribute: [{ name: "then_branch", type: 5, g: {} }],
      },
    ]),
    "unsupported-op",
    /^branch \(If\): has a graph inside/,
  ],
  [
    "an unknown operator",
    modelOf([bodyNode("Foo", ["x"], ["y"])]),
    "unsupported-op",
    /^y \(Foo\): is an operator that qdg does not know/,
  ],
  ["another domain", modelOf([{ ...unary, domain: "com.microsoft" }]), "unsupported-op", /com\.microsoft/],
  [
    "an operator of qdg without its function",
    modelOf([{ ...unary, domain: "qdg" }]),
    "unsupported-op",
    /domain "qdg"/,
  ],
  [
    "an older form of an operator",
    { ...modelOf([bodyNode("Softmax", ["x"], ["y"])]), opsetImport: [{ version: 12 }] },
    "unsupported-op",
    /another form at opset 12, expected opset 13/,
  ],
  [
    "an opset of the future",
    { ...modelOf([unary]), opsetImport: [{ version: 99 }] },
    "unsupported-op",
    /opset 99/,
  ],
  [
    "two standard opsets",
    { ...modelOf([unary]), opsetImport: [{ version: 20 }, { domain: "ai.onnx", version: 21 }] },
    "invalid-onnx",
    /20 and 21/,
  ],
  [
    "nodes out of order",
    modelOf([bodyNode("Relu", ["t"], ["y"]), bodyNode("Relu", ["x"], ["t"])]),
    "invalid-onnx",
    /reads t, which nothing before it computes/,
  ],
  ["a value that is defined twice", modelOf([unary, unary]), "invalid-onnx", /value "y".*defined twice/],
  [
    "an output that nothing computes",
    modelOf([bodyNode("Relu", ["x"], ["z"])]),
    "invalid-onnx",
    /output y is computed nowhere/,
  ],
  [
    "a declared type that is not the computed one",
    modelOf([unary], { output: [info("y", [4], 6)] }),
    "invalid-onnx",
    /declared int32, computed float32/,
  ],
  ["strings", modelOf([unary], { input: [info("x", [4], 8)] }), "unsupported-op", /STRING/],
  [
    "an input that is a sequence",
    modelOf([unary], { input: [{ name: "x", type: { sequenceType: {} } }] }),
    "unsupported-op",
    /input x/,
  ],
  ["a sparse initializer", modelOf([unary], { sparseInitializer: [{}] }), "unsupported-op", /sparse/],
  [
    "a reference outside a function",
    modelOf([{ ...unary, attribute: [{ name: "a", refAttrName: "b" }] }]),
    "invalid-onnx",
    /refers to b/,
  ],
  [
    "an attribute that is there twice",
    modelOf([{ ...unary, attribute: [attributeProto("a", 1), attributeProto("a", 2)] }]),
    "invalid-onnx",
    /attribute "a"/,
  ],
  [
    "too many inputs for a function",
    modelOf([bodyNode("Scale", ["x", "", "x"], ["y"], {}, "qdg")], {}, [SCALE]),
    "invalid-onnx",
    /has 3 inputs/,
  ],
  [
    "a function of another opset",
    modelOf([bodyNode("Scale", ["x"], ["y"], {}, "qdg")], {}, [{ ...SCALE, opsetImport: [{ version: 20 }] }]),
    "unsupported-op",
    /opset 20/,
  ],
])("modelToGraph refuses a model with %s", (_, model, code, message) => {
  expect(() => modelToGraph(model)).toThrow(
    expect.objectContaining({
      name: "QdgError",
      code,
      message: expect.stringMatching(message) as string,
    }) as Error,
  );
});
