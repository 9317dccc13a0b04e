// What is refused, all of it at once and before any work; what of a file's names and shapes stays.

import { expect, test } from "vitest";
import { float32, int64 } from "../../../src/base/tensor.js";
import { printGraph } from "../../../src/graph/print.js";
import type { GraphProto, ModelProto, NodeProto, ValueInfoProto } from "../../../src/onnx/model-proto.js";
import { ATTRIBUTE_TYPE } from "../../../src/onnx/model-proto.js";
import { tensorToProto } from "../../../src/onnx/tensor-proto.js";
import { readOnnx } from "../../../src/read/onnx/read-onnx.js";

type Size = number | string | null;

const info = (name: string, sizes: readonly Size[] = ["N", 4], elemType = 1): ValueInfoProto => {
  const dim = sizes.map((size) =>
    typeof size === "number" ? { dimValue: size } : size === null ? {} : { dimParam: size },
  );
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
};

const node = (opType: string, input: string[], output: string[], more: NodeProto = {}): NodeProto => ({
  opType,
  input,
  output,
  ...more,
});

function modelOf(nodes: readonly NodeProto[], graph: GraphProto = {}, more: ModelProto = {}): ModelProto {
  return {
    irVersion: 8,
    opsetImport: [{ version: 17 }, { domain: "com.microsoft", version: 1 }],
    graph: { name: "g", node: nodes, input: [info("x")], output: [info("y")], ...graph },
    ...more,
  };
}

test("everything that is not supported is listed at once, with the names of nodes", () => {
  const graph = { name: "inner", node: [], output: [info("z")] };
  const branches = [{ name: "then_branch", type: ATTRIBUTE_TYPE.graph, g: graph }];
  const nodes = [
    ...["a", "b", "c", "d", "e"].map((name, i) =>
      node("DeformConv", [i === 0 ? "x" : ("abcd"[i - 1] as string)], [name], { name: `where_${name}` }),
    ),
    node("FusedConv", ["e"], ["f"], { name: "fused", domain: "com.microsoft" }),
    node("If", ["f"], ["g"], { name: "choice", attribute: branches }),
    node("Relu", ["g"], ["h"]),
    node("DFT", ["h"], ["y"]),
  ];
  const wide = tensorToProto({ dtype: "float64", shape: [1], data: Float64Array.of(1) }, "wide");
  expect(() => readOnnx(modelOf(nodes, { initializer: [wide] }), "m.onnx")).toThrow(
    "m.onnx: has what qdg does not take: DeformConv (where_a, where_b, where_c and 2 more); com.microsoft.FusedConv (fused); " +
      "control flow: If (choice); DFT (y); weights of type DOUBLE, expected FLOAT or FLOAT16 (wide)",
  );
});

test("what acts in training is refused", () => {
  const numbers = ["s", "b", "m", "v"].map((name) => tensorToProto(float32([4], [1, 1, 1, 1]), name));
  const normal = node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y", "mean", "var"], { name: "bn" });
  expect(() => readOnnx(modelOf([normal], { initializer: numbers }), "m.onnx")).toThrow(
    "m.onnx: has what qdg does not take: BatchNormalization in training mode (bn)",
  );
  const yes = tensorToProto({ dtype: "bool", shape: [], data: Uint8Array.of(1) }, "yes");
  const dropout = node("Dropout", ["x", "", "yes"], ["y"], { name: "drop" });
  expect(() => readOnnx(modelOf([dropout], { initializer: [yes] }), "m.onnx")).toThrow(
    "drop (Dropout): is in training mode, or may be: its result is random; export the model for inference",
  );
});

test("functions are looked into, and only those that something calls", () => {
  const inside = {
    name: "F",
    domain: "own",
    input: ["a"],
    output: ["b"],
    opsetImport: [{ version: 17 }],
    node: [node("DeformConv", ["a"], ["b"])],
  };
  const called = { functions: [inside], opsetImport: [{ version: 17 }, { domain: "own", version: 1 }] };
  const calling = modelOf([node("F", ["x"], ["y"], { domain: "own" })], {}, called);
  expect(() => readOnnx(calling, "m.onnx")).toThrow(/DeformConv \(b\)/);
  expect(readOnnx(modelOf([node("Relu", ["x"], ["y"])], {}, called), "m.onnx").nodes).toHaveLength(1);
});

test.each([
  [{ start: 1 }, 1],
  [{ start: -1 }, 1],
  [{ start: 0, end: 1 }, 1],
  [{ end: -1 }, 1],
  [{ start: 2, end: 9 }, 0],
])("the shape of a Shape with %o has %i sizes", (of, sizes) => {
  const attribute = Object.entries(of).map(([name, i]) => ({ name, type: ATTRIBUTE_TYPE.int, i }));
  const model = modelOf([node("Shape", ["x"], ["y"], { attribute })], { output: [info("y", [sizes], 7)] });
  expect(readOnnx(model, "m.onnx").outputs[0]?.shape).toEqual([sizes]);
});

test.each([0, 1])("a Reshape to sizes without a zero has them, whatever allowzero says: %i", (allowzero) => {
  const sizes = tensorToProto(int64([2], [-1, 2]), "s");
  const attribute = [{ name: "allowzero", type: ATTRIBUTE_TYPE.int, i: allowzero }];
  const model = modelOf([node("Reshape", ["x", "s"], ["y"], { attribute })], {
    initializer: [sizes],
    input: [info("x", ["N", 2, 1, 1], 1)],
    output: [info("y", ["N", 2], 1)],
  });
  expect(readOnnx(model, "m.onnx").nodes[0]?.outputs[0]?.shape).toEqual(["N", 2]);
});

test("a Pad of some axes, counted from the end, changes their sizes alone", () => {
  const numbers = { p: [1, 0, 2, 3], a: [-1, 1] };
  const initializer = [
    ...Object.entries(numbers).map(([name, list]) => tensorToProto(int64([list.length], list), name)),
    tensorToProto(float32([], [0]), "v"),
  ];
  const model = modelOf([node("Pad", ["x", "p", "v", "a"], ["y"])], {
    initializer,
    input: [info("x", ["N", 2, 4, 5], 1)],
    output: [info("y", ["N", 5, 4, 8], 1)],
  });
  const inOpset18 = { ...model, opsetImport: [{ version: 18 }] };
  expect(readOnnx(inOpset18, "m.onnx").outputs[0]?.shape).toEqual(["N", 5, 4, 8]);
});

test("a network that is quantized already is refused, with what is wanted", () => {
  const scale = tensorToProto(float32([], [0.1]), "s");
  const nodes = [
    node("QuantizeLinear", ["x", "s"], ["q"], { name: "q1" }),
    node("DequantizeLinear", ["q", "s"], ["y"]),
  ];
  expect(() => readOnnx(modelOf(nodes, { initializer: [scale] }), "m.onnx")).toThrow(
    "m.onnx: is quantized already (2 nodes such as q1 (QuantizeLinear)); give the float model that it was made from",
  );
});

test.each<[string, ModelProto, RegExp]>([
  [
    "an input without a shape",
    modelOf([node("Relu", ["x"], ["y"])], { input: [{ name: "x", type: { tensorType: { elemType: 1 } } }] }),
    /input x: has no shape in the file/,
  ],
  [
    "numbers that are no float32",
    modelOf([node("Relu", ["x"], ["y"])], {
      input: [info("x", ["N", 4], 11)],
      output: [info("y", ["N", 4], 11)],
    }),
    /computes in float64, as at x, expected float32/,
  ],
  [
    "an output of another shape than its inputs give",
    modelOf([node("MatMul", ["x", "w"], ["y"], { name: "dense" })], {
      initializer: [tensorToProto(float32([4, 1], [1, 2, 3, 4]), "w")],
      output: [info("y", ["N", 3], 1)],
    }),
    /dense \(Gemm\): output y: got \[N, 3\] in the file, expected \[N, 1\], which its inputs give/,
  ],
  [
    "a weight that is no number",
    modelOf([node("MatMul", ["x", "w"], ["y"], { name: "dense" })], {
      initializer: [tensorToProto(float32([4, 1], [1, 2, Number.NaN, 4]), "w")],
      output: [info("y", ["N", 1], 1)],
    }),
    /dense \(Gemm\): weight w\/transposed\[2\]: got NaN, expected a finite number/,
  ],
  [
    "a circle",
    modelOf([node("Relu", ["b"], ["a"], { name: "first" }), node("Relu", ["a"], ["b"])]),
    /first \(Relu\): reads b, which nothing before it computes/,
  ],
  [
    "an initializer without data",
    modelOf([node("Add", ["x", "w"], ["y"])], { initializer: [{ name: "w", dataType: 1, dims: [4] }] }),
    /w/,
  ],
])("%s is an error", (_, model, message) => {
  expect(() => readOnnx(model, "m.onnx")).toThrow(message);
});

test("names and sizes of inputs and outputs stay; a size without a name gets one, an initializer that is an input is none", () => {
  const weight = tensorToProto(float32([4, 3, 1, 1], new Float32Array(12).fill(1)), "w");
  const model = modelOf(
    [
      node("Conv", ["image", "w"], ["c"], { name: "/features/conv" }),
      node("Relu", ["c"], ["r"], { name: "/features/relu" }),
      node("Identity", ["r"], ["y"]),
    ],
    {
      input: [info("image", [null, 3, null, "width"]), info("w", [4, 3, 1, 1])],
      output: [info("y", [null, 4, null, null])],
      initializer: [weight],
    },
  );
  expect(printGraph(readOnnx(model, "m.onnx"))).toBe(
    [
      "graph g(image: float32[N,3,H,width])",
      "  c: float32[N,4,H,width] = Conv(image, w: float32[4,3,1,1]) @/features/conv",
      "  r: float32[N,4,H,width] = Relu(c) @/features/relu",
      "  y: float32[N,4,H,width] = Identity(r)",
      "  return y",
      "",
    ].join("\n"),
  );
});
