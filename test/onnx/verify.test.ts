import { describe, expect, test } from "vitest";
import { float32 } from "../../src/base/tensor.js";
import { attributeProto } from "../../src/onnx/from-graph.js";
import { bodyNode, localFunction } from "../../src/onnx/local-function.js";
import type {
  FunctionProto,
  GraphProto,
  ModelProto,
  NodeProto,
  ValueInfoProto,
} from "../../src/onnx/model-proto.js";
import { tensorToProto } from "../../src/onnx/tensor-proto.js";
import { verifyModel } from "../../src/onnx/verify.js";

const info = (name: string, elemType = 1): ValueInfoProto => ({
  name,
  type: { tensorType: { elemType, shape: { dim: [{ dimParam: "N" }, { dimValue: 2 }] } } },
});

const UNPACK = localFunction({
  name: "Unpack3",
  inputs: ["planes"],
  outputs: ["w"],
  nodes: [
    bodyNode("Constant", [], ["one"], { value_int: 1 }),
    bodyNode("Cast", ["planes"], ["w"], { to: 3 }),
  ],
  opset: 21,
});

const NODES: readonly NodeProto[] = [
  bodyNode("Unpack3", ["packed"], ["integers"], {}, "qdg"),
  bodyNode("DequantizeLinear", ["integers", "scale"], ["w"], { axis: 0 }),
  bodyNode("MatMul", ["x", "w"], ["t"]),
  bodyNode("Clip", ["t", "", "high"], ["y"]),
];

const INITIALIZERS = [
  tensorToProto({ dtype: "uint8", shape: [2, 2], data: Uint8Array.of(1, 2, 3, 4) }, "packed"),
  tensorToProto(float32([2], [0.5, 0.25]), "scale"),
  tensorToProto(float32([], [6]), "high"),
];

function sample(graph: Partial<GraphProto> = {}, model: Partial<ModelProto> = {}): ModelProto {
  return {
    irVersion: 10,
    opsetImport: [{ version: 21 }, { domain: "qdg", version: 1 }],
    functions: [UNPACK],
    graph: {
      name: "g",
      node: NODES,
      initializer: INITIALIZERS,
      input: [info("x")],
      output: [info("y")],
      ...graph,
    },
    ...model,
  };
}

const nodes = (...node: NodeProto[]): ModelProto => sample({ node });
const unary = (op: string, more: Partial<NodeProto> = {}): ModelProto =>
  nodes({ ...bodyNode(op, ["x"], ["y"]), ...more });
const functions = (change: Partial<FunctionProto>): ModelProto =>
  sample({}, { functions: [{ ...UNPACK, ...change }] });
const initializer = (change: object): ModelProto =>
  sample({ initializer: [...INITIALIZERS, { name: "i", ...change }] });
const body = (node: NodeProto[]): Partial<GraphProto> => ({ node, output: [info("z")] });

describe("verifyModel", () => {
  test("accepts a model with functions, constants and left-out inputs", () => {
    expect(() => verifyModel(sample())).not.toThrow();
  });

  test.each<[string, ModelProto, RegExp]>([
    ["without an IR version", sample({}, { irVersion: 0 }), /IR version: got 0/],
    ["without a graph", { irVersion: 10, opsetImport: [{ version: 21 }] }, /has no graph/],
    ["without a name", sample({ name: "" }), /its graph has no name/],
    ["without an opset", sample({}, { opsetImport: [] }), /imports no operator set/],
    ["with an opset of 0", sample({}, { opsetImport: [{ version: 0 }] }), /got 0, expected 1 or more/],
    [
      "with two versions of a domain",
      sample({}, { opsetImport: [{ version: 21 }, { domain: "ai.onnx", version: 20 }] }),
      /twice/,
    ],
    [
      "with a domain that is not imported",
      sample({}, { opsetImport: [{ version: 21 }] }),
      /domain "qdg", of which no version/,
    ],
    ["with functions before IR version 8", sample({}, { irVersion: 7 }), /functions at IR version 7/],
    ["without outputs", sample({ output: [] }), /graph g: has no output/],
    [
      "with an output that nothing computes",
      sample({ output: [info("q")] }),
      /output q: is computed nowhere/,
    ],
    [
      "with an output that is there twice",
      sample({ output: [info("y"), info("y")] }),
      /output y: is there twice/,
    ],
    ["with an input without a type", sample({ input: [{ name: "x" }] }), /value x: has no element type/],
    ["with an input of strings", sample({ input: [info("x", 8)] }), /value x: has element type STRING/],
    [
      "with an output of another type",
      sample({ output: [info("y", 6)] }),
      /y is declared int32, computed float32/,
    ],
    [
      "with a value of another type",
      sample({ valueInfo: [info("t", 10)] }),
      /t is declared float16, computed float32/,
    ],
    [
      "with nodes out of order",
      sample({ node: [...NODES].reverse() }),
      /y \(Clip\): reads t, which nothing before/,
    ],
    [
      "with a value that is computed twice",
      nodes(...NODES, bodyNode("Relu", ["x"], ["t"])),
      /value t is defined twice/,
    ],
    ["with a node that overwrites an input", unary("Relu", { output: ["x"] }), /value x is defined twice/],
    [
      "with two initializers of a name",
      sample({ initializer: [...INITIALIZERS, ...INITIALIZERS] }),
      /value packed is defined twice/,
    ],
    [
      "with an initializer without a name",
      initializer({ name: "", dataType: 1, rawData: new Uint8Array(4) }),
      /without a name/,
    ],
    [
      "with too little data",
      initializer({ dataType: 1, dims: [2], rawData: new Uint8Array(4) }),
      /initializer i: has 4 bytes of data, expected 8/,
    ],
    [
      "with data of a type that is none",
      initializer({ dataType: 77 }),
      /initializer i: has element type type 77/,
    ],
    [
      "with int4 before opset 21",
      {
        ...initializer({ dataType: 22, dims: [1], rawData: new Uint8Array(1) }),
        opsetImport: [{ version: 20 }],
        functions: [],
      },
      /initializer i: is int4, which needs opset 21, got 20/,
    ],
    ["with a node without an operator", nodes({ input: ["x"], output: ["y"] }), /has no operator/],
    [
      "with an operator that does not exist",
      unary("Rleu"),
      /y \(Rleu\): is an operator that qdg does not know/,
    ],
    ["with an operator that the opset lacks", unary("Swish"), /y \(Swish\): needs opset 24, got 21/],
    [
      "with a function that is not in the file",
      unary("Unpack9", { domain: "qdg" }),
      /y \(Unpack9\): is of domain "qdg"/,
    ],
    ["with too many inputs", unary("Relu", { input: ["x", "x"] }), /has 2 inputs, expected 1/],
    ["with too few inputs", unary("MatMul"), /has 1 inputs, expected 2/],
    ["with a needed input left out", unary("MatMul", { input: ["x", ""] }), /input 1 is left out/],
    ["with too many outputs", unary("Relu", { output: ["y", "z"] }), /has 2 outputs, expected 1/],
    ["with floats for a bitwise operator", unary("BitwiseNot"), /first input of float32, expected integer/],
    [
      "with two element types",
      unary("Add", { input: ["x", "packed"] }),
      /inputs of float32 and uint8, expected one/,
    ],
    [
      "with too many inputs for a function",
      unary("Unpack3", { domain: "qdg", input: ["x", "x"] }),
      /at most 1 and 1 of the function/,
    ],
    [
      "with too few outputs for a function",
      unary("Unpack3", { domain: "qdg", output: [] }),
      /has 0 outputs, expected all 1/,
    ],
    ["with an attribute without a name", unary("Elu", { attribute: [{ type: 1, f: 1 }] }), /attribute ""/],
    [
      "with an attribute that is there twice",
      unary("Elu", { attribute: [attributeProto("alpha", 1), attributeProto("alpha", 1)] }),
      /there twice/,
    ],
    [
      "with an attribute without a type",
      unary("Elu", { attribute: [{ name: "alpha", f: 1 }] }),
      /attribute alpha: type 0 is none/,
    ],
    [
      "with an attribute of another type",
      unary("Elu", { attribute: [{ name: "alpha", type: 1, i: 1 }] }),
      /got a value in \[i\], expected one in f/,
    ],
    [
      "with an attribute without a value",
      unary("Elu", { attribute: [{ name: "alpha", type: 1 }] }),
      /got a value in \[\], expected one in f/,
    ],
    [
      "with a reference outside a function",
      unary("Elu", { attribute: [{ name: "alpha", type: 1, refAttrName: "a" }] }),
      /refers to its caller's/,
    ],
    [
      "with a constant that does not fill its shape",
      unary("ConstantOfShape", {
        input: ["n"],
        attribute: [{ name: "value", type: 4, t: { dims: [3], dataType: 1 } }],
      }),
      /n, which nothing|has no data/,
    ],
    [
      "with a function that is there twice",
      sample({}, { functions: [UNPACK, UNPACK] }),
      /function qdg\.Unpack3: is there twice/,
    ],
    [
      "with a function that calls itself",
      functions({
        node: [bodyNode("Unpack3", ["planes"], ["w"], {}, "qdg")],
        opsetImport: [{ domain: "qdg", version: 1 }],
      }),
      /calls itself \(qdg\.Unpack3 -> qdg\.Unpack3\)/,
    ],
    [
      "with a function of another opset",
      functions({ opsetImport: [{ version: 18 }] }),
      /is of opset 18, expected that of the model, 21/,
    ],
    [
      "with a function without its operator set",
      functions({ opsetImport: [{ domain: "qdg", version: 1 }] }),
      /domain "", of which no version/,
    ],
    [
      "with a function that reads what it does not have",
      functions({ node: [bodyNode("Cast", ["scale"], ["w"], { to: 3 })] }),
      /reads scale/,
    ],
    [
      "with a function that does not compute its output",
      functions({ output: ["z"] }),
      /output z is computed nowhere/,
    ],
    [
      "with a fault in an inner graph",
      unary("If", {
        attribute: [{ name: "then_branch", type: 5, g: body([bodyNode("Relu", ["nowhere"], ["z"])]) }],
      }),
      /reads nowhere/,
    ],
  ])("refuses a model %s", (_, model, message) => {
    expect(() => verifyModel(model)).toThrow(
      expect.objectContaining({
        name: "QdgError",
        message: expect.stringMatching(message) as string,
      }) as Error,
    );
  });

  test("passes over what qdg does not know in files of others, but not over their faults", () => {
    const accept = { unknown: "accept" } as const;
    const inner = { name: "then_branch", type: 5, g: body([bodyNode("Relu", ["x"], ["z"])]) };
    for (const model of [
      unary("FutureOp"),
      unary("Swish"),
      unary("If", { attribute: [inner] }),
      unary("Anything", { domain: "qdg" }),
      initializer({ dataType: 16, dims: [1], rawData: new Uint8Array(2) }),
      sample({
        input: [{ name: "x", type: { sequenceType: {} } }],
        node: [bodyNode("FutureOp", ["x"], ["y"])],
      }),
    ]) {
      expect(() => verifyModel(model)).toThrow(/unsupported-op|has no element type/);
      expect(() => verifyModel(model, accept)).not.toThrow();
    }
    expect(() => verifyModel(unary("FutureOp", { input: ["nowhere"] }), accept)).toThrow(/reads nowhere/);
  });
});
