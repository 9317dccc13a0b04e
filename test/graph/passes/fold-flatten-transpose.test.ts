// Oracle: ONNX Runtime before and after the pass.

import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { float32, type Tensor } from "../../../src/base/tensor.js";
import { GraphBuilder } from "../../../src/graph/builder.js";
import type { Dim, Graph, Value } from "../../../src/graph/graph.js";
import { foldFlattenTranspose } from "../../../src/graph/passes/fold-flatten-transpose.js";
import { encodeModel } from "../../../src/onnx/codec.js";
import { graphToModel } from "../../../src/onnx/from-graph.js";
import { weightSpec } from "../../../src/quant/spec.js";
import { seeded } from "../../support/layers-models.js";

const random = seeded(11);

function noise(shape: readonly number[]): Tensor<"float32"> {
  const size = shape.reduce((product, dim) => product * dim, 1);
  return float32(
    shape,
    Float32Array.from({ length: size }, () => random() - 0.5),
  );
}

/** [N, C, H, W] -> Transpose -> Reshape, as a Flatten after a convolution. */
function flattened(
  builder: GraphBuilder,
  space: readonly Dim[] = [3, 4],
): { transposed: Value; flat: Value } {
  const x = builder.input("x", ["N", 2, ...space]);
  const last = ["N", ...space, 2];
  const transposed = builder.node("Transpose", "f", [x], { name: "t", shape: last }, { perm: [0, 2, 3, 1] });
  const flat = builder.node("Reshape", "f", [transposed, builder.ints("s", [-1, 24])], {
    name: "flat",
    shape: ["N", 24],
  });
  return { transposed, flat };
}

function gemm(builder: GraphBuilder, x: Value, weight: Value, name: string, transB = 1): Value {
  return builder.node("Gemm", name, [x, weight], { name, shape: ["N", 5] }, { transB });
}

async function run(graph: Graph): Promise<Float32Array[]> {
  const bytes = encodeModel(graphToModel(graph, { opset: 21, irVersion: 10, producerVersion: "test" }));
  const session = await ort.InferenceSession.create(bytes);
  const values = Float32Array.from({ length: 48 }, (_, i) => Math.sin(i * i));
  const results = await session.run({ x: new ort.Tensor("float32", values, [2, 2, 3, 4]) });
  await session.release();
  return graph.outputs.map(({ name }) => results[name]?.data as Float32Array);
}

async function expectSameOutputs(before: Graph, after: Graph): Promise<void> {
  const [a, b] = [await run(before), await run(after)];
  a.forEach((values, i) => values.forEach((value, j) => expect(b[i]?.[j]).toBeCloseTo(value, 5)));
}

function transposes(graph: Graph): number {
  return graph.nodes.filter(({ op }) => op === "Transpose").length;
}

describe("foldFlattenTranspose", () => {
  test("moves the transpose into the weights of all Dense layers behind, through functions of one element", async () => {
    const builder = new GraphBuilder("g");
    const { flat } = flattened(builder);
    const relu = builder.node("Relu", "r", [flat], { name: "relu", shape: flat.shape });
    builder.output(gemm(builder, relu, builder.constant("w", noise([5, 24])), "a"));
    builder.output(gemm(builder, flat, builder.constant("v", noise([5, 24])), "b"));
    const folded = foldFlattenTranspose(builder.graph);
    expect(transposes(folded)).toBe(0);
    expect(transposes(builder.graph)).toBe(1);
    await expectSameOutputs(builder.graph, folded);
    expect(foldFlattenTranspose(folded)).toEqual(folded);
  });

  test("a weight that is also read in its old order keeps that one under its name", async () => {
    const builder = new GraphBuilder("g");
    const { flat } = flattened(builder);
    const weight = builder.constant("w", noise([5, 24]));
    builder.output(gemm(builder, flat, weight, "a"));
    builder.output(gemm(builder, flat, weight, "b"));
    const plain = builder.node(
      "Reshape",
      "p",
      [builder.graph.inputs[0] as Value, builder.ints("q", [-1, 24])],
      { name: "plain", shape: ["N", 24] },
    );
    builder.output(gemm(builder, plain, weight, "c"));
    const folded = foldFlattenTranspose(builder.graph);
    const [a, b, c] = folded.nodes.filter(({ op }) => op === "Gemm").map(({ inputs }) => inputs[1]);
    expect([a?.name, c?.name]).toEqual(["w:1", "w"]);
    expect(a).toBe(b);
    await expectSameOutputs(builder.graph, folded);
  });

  test("what is annotated per row of the weight stays with it", () => {
    const builder = new GraphBuilder("g");
    const { flat } = flattened(builder);
    const weight = builder.constant("w", noise([5, 24]));
    weight.channelFactor = { axis: 0, factors: new Float32Array(5).fill(2) };
    weight.quantization = {
      spec: weightSpec(3, 0),
      params: { scale: new Float32Array(5).fill(0.1), zeroPoint: new Int32Array(5) },
    };
    builder.output(gemm(builder, flat, weight, "a"));
    const folded = foldFlattenTranspose(builder.graph).nodes.find(({ op }) => op === "Gemm")?.inputs[1];
    expect(folded).toMatchObject({ channelFactor: weight.channelFactor, quantization: weight.quantization });
  });

  const blocked: Record<string, (builder: GraphBuilder) => void> = {
    "the transposed value is an output": (builder) => {
      const { transposed, flat } = flattened(builder);
      builder.output(transposed);
      builder.output(gemm(builder, flat, builder.constant("w", noise([5, 24])), "a"));
    },
    "the flattened value is an output": (builder) => {
      const { flat } = flattened(builder);
      builder.output(flat);
      builder.output(gemm(builder, flat, builder.constant("w", noise([5, 24])), "a"));
    },
    "another layer reads the flattened value": (builder) => {
      const { flat } = flattened(builder);
      builder.output(builder.node("Softmax", "s", [flat], { name: "soft", shape: flat.shape }, { axis: 1 }));
      builder.output(gemm(builder, flat, builder.constant("w", noise([5, 24])), "a"));
    },
    "the weight is not transposed": (builder) => {
      const { flat } = flattened(builder);
      builder.output(gemm(builder, flat, builder.constant("w", noise([24, 5])), "a", 0));
    },
    "a size is unknown": (builder) => {
      const { flat } = flattened(builder, ["H", 4]);
      builder.output(gemm(builder, flat, builder.constant("w", noise([5, 24])), "a"));
    },
    "the weight has a scale a column": (builder) => {
      const { flat } = flattened(builder);
      const weight = builder.constant("w", noise([5, 24]));
      weight.quantization = {
        spec: weightSpec(3, 1),
        params: { scale: new Float32Array(24).fill(0.1), zeroPoint: new Int32Array(24) },
      };
      builder.output(gemm(builder, flat, weight, "a"));
    },
  };
  test.each(Object.keys(blocked))("leaves the graph alone when %s", (title) => {
    const builder = new GraphBuilder("g");
    blocked[title]?.(builder);
    expect(foldFlattenTranspose(builder.graph)).toEqual(builder.graph);
  });
});
