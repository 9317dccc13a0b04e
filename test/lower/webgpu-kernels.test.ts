// The table of operators without a WebGPU kernel against the runtime itself: an upgrade that adds one turns this red.

import { describe, expect, test } from "vitest";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Graph } from "../../src/graph/graph.js";
import { requireWebgpuKernels, WITHOUT_WEBGPU_KERNEL } from "../../src/lower/webgpu-kernels.js";
import { encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { webgpuRuntime } from "../../src/runtime/webgpu.js";
import { needsWebgpu } from "../support/needs.js";

function alone(op: string): Graph {
  const net = new GraphBuilder(op);
  const shape = [1, 4];
  const x = net.input("x", shape);
  net.output(net.node(op, "layer", [x], { name: "y", shape }));
  return net.graph;
}

async function loads(op: string): Promise<boolean> {
  const versions = { opset: 21, irVersion: 10, producerVersion: "test", metadata: {} };
  try {
    const session = await webgpuRuntime.open({ bytes: encodeModel(graphToModel(alone(op), versions)) });
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
    expect(found).toEqual([]);
  });

  test("has kernels for the activation functions that it does not list", async () => {
    const missing: string[] = [];
    for (const op of ["Relu", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "Softplus", "Mish", "Gelu", "Softmax"]) {
      if (!(await loads(op))) missing.push(op);
    }
    expect(missing).toEqual([]);
  });
});

test("a network with an operator that would not run on the GPU is refused by its layer", () => {
  expect(() => requireWebgpuKernels(alone("Selu"))).toThrow(
    expect.objectContaining({ code: "unsupported-layer", where: "layer (Selu)" }),
  );
  expect(() => requireWebgpuKernels(alone("Elu"))).not.toThrow();
});
