// The table of operators without a WebGPU kernel against the runtime itself: an upgrade that adds one turns this red.

import { describe, expect, test } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.js";
import { type DType, float32, int64, type Tensor } from "../../src/base/tensor.js";
import type { Dim, Graph, Node } from "../../src/graph/graph.js";
import {
  REAL_ON_WEBGPU,
  requireWebgpuKernels,
  WITHOUT_WEBGPU_KERNEL,
} from "../../src/lower/webgpu-kernels.js";
import { encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { webgpuRuntime } from "../../src/runtime/webgpu.js";
import { needsWebgpu } from "../support/needs.js";

type Given = readonly [dtype: DType, shape: readonly (number | string)[]] | Tensor;

/** Inputs, attributes and the result's type and shape of operators that are no function of one real tensor. */
const SAMPLES: Readonly<
  Record<string, readonly [readonly Given[], Node["attributes"], DType, readonly Dim[]]>
> = {
  ConstantOfShape: [[["int64", [2]]], {}, "float32", ["a", "b"]],
  IsInf: [[["float32", [2, 4]]], {}, "bool", [2, 4]],
  IsNaN: [[["float32", [2, 4]]], {}, "bool", [2, 4]],
  LRN: [[["float32", [1, 4, 2, 2]]], { size: 3 }, "float32", [1, 4, 2, 2]],
  Mod: [
    [
      ["int32", [2, 4]],
      ["int32", [2, 4]],
    ],
    {},
    "int32",
    [2, 4],
  ],
  NonMaxSuppression: [
    [["float32", [1, 5, 4]], ["float32", [1, 1, 5]], int64([1], [3])],
    {},
    "int64",
    ["k", 3],
  ],
  NonZero: [[["bool", [2, 4]]], {}, "int64", [2, "k"]],
  OneHot: [[["int32", [2, 4]], int64([], [3]), float32([2], [0, 1])], { axis: -1 }, "float32", [2, 4, 3]],
  Or: [
    [
      ["bool", [2, 4]],
      ["bool", [2, 4]],
    ],
    {},
    "bool",
    [2, 4],
  ],
  Size: [[["float32", ["N", 4]]], {}, "int64", []],
  Xor: [
    [
      ["bool", [2, 4]],
      ["bool", [2, 4]],
    ],
    {},
    "bool",
    [2, 4],
  ],
};

function alone(op: string, integers = false): Graph {
  const net = new GraphBuilder(op);
  const type = integers ? ("int32" as const) : ("float32" as const);
  const plain = [[[type, [1, 4]]], {}, type, [1, 4]] as const;
  const [given, attributes, dtype, shape] = SAMPLES[op] ?? plain;
  const inputs = given.map((each, i) =>
    "data" in each ? net.constant(`c${i}`, each) : net.input(`x${i}`, each[1], each[0]),
  );
  net.output(net.node(op, "layer", inputs, { name: "y", shape, dtype }, attributes));
  return net.graph;
}

async function loads(op: string, integers = false): Promise<boolean> {
  const versions = { opset: 21, irVersion: 10, producerVersion: "test", metadata: {} };
  try {
    const session = await webgpuRuntime.open({
      bytes: encodeModel(graphToModel(alone(op, integers), versions)),
    });
    await session.dispose();
    return true;
  } catch {
    return false;
  }
}

describe("ONNX Runtime on WebGPU", await needsWebgpu(), () => {
  test("has no kernel for the operators that the table lists", async () => {
    const found: string[] = [];
    // An Identity of one operand is taken out before kernels are looked for.
    const listed = [...WITHOUT_WEBGPU_KERNEL].filter((op) => op !== "Sum" && op !== "Mean");
    for (const op of listed) if (await loads(op)) found.push(op);
    for (const op of REAL_ON_WEBGPU) if (await loads(op, true)) found.push(`${op} of integers`);
    expect(found).toEqual([]);
  });

  test("has kernels for the activation functions that it does not list", async () => {
    const missing: string[] = [];
    for (const op of [
      "Relu",
      "LeakyRelu",
      "Elu",
      "Sigmoid",
      "Tanh",
      "Softplus",
      "Mish",
      "Gelu",
      "Softmax",
      ...REAL_ON_WEBGPU,
    ]) {
      if (!(await loads(op))) missing.push(op);
    }
    expect(missing).toEqual([]);
  });
});

test("a network with an operator that would not run on the GPU is refused by its layer", () => {
  expect(() => requireWebgpuKernels(alone("Selu"))).toThrow(
    expect.objectContaining({ code: "unsupported-layer", where: "layer (Selu)" }),
  );
  expect(() => requireWebgpuKernels(alone("NonMaxSuppression"))).toThrow(/layer \(NonMaxSuppression\)/);
  expect(() => requireWebgpuKernels(alone("Abs", true))).toThrow(/layer \(Abs\)/);
  expect(() => requireWebgpuKernels(alone("Abs"))).not.toThrow();
  expect(() => requireWebgpuKernels(alone("Elu"))).not.toThrow();
});
