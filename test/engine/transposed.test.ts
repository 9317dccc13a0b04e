// Transposed convolutions against the reference, at random strides, dilations, paddings and groups.

import { expect, test } from "vitest";
import { USUAL_OPERATORS } from "../../src/compute/usual-operators.js";
import type { Tensor } from "../../src/base/tensor.js";
import { float32, sizeOf } from "../../src/base/tensor.js";
import { raise } from "../../src/engine/raise.js";
import { encodeModel, decodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { modelToGraph } from "../../src/onnx/to-graph.js";
import { engineRuntime } from "../../src/runtime/engine.js";
import { referenceRuntime } from "../../src/runtime/reference.js";
import { type Model, Random, Sketch } from "../runtime/sketch.js";

const TRIALS = 24;

interface Kind {
  readonly axes: 1 | 2;
  readonly depthwise: boolean;
  readonly quantized: boolean;
}

/** `(q - z)` times whole weights plus a whole bias, times m, rounded: as lowering spells it. */
function model(random: Random, { axes, depthwise, quantized }: Kind): Model {
  const sketch = new Sketch();
  const group = depthwise ? random.integer(2, 20) : random.integer(1, 3);
  const C = depthwise ? group : group * random.integer(1, 6);
  const perGroup = depthwise ? 1 : random.integer(1, 10);
  const list = (low: number, high: number): number[] =>
    Array.from({ length: axes }, () => random.integer(low, high));
  const [sizes, kernel, strides, dilations] = [list(1, 6), list(1, 5), list(1, 4), list(1, 2)];
  const pads = [...list(0, 1), ...list(0, 1)];
  const extra = strides.map((stride) => random.integer(0, stride - 1));
  const zero = random.integer(0, 255);
  const x = sketch.input("x", random.bytes([1, C, ...sizes]));
  const real = sketch.node("Sub", [sketch.node("Cast", [x], { to: 1 }), sketch.real("z", zero)]);
  const shape = [C, perGroup, ...kernel];
  const weights = Float32Array.from({ length: sizeOf(shape) }, () => random.integer(-8, 7));
  const K = perGroup * group;
  const bias = sketch.reals(
    "b",
    Array.from({ length: K }, () => random.integer(-500, 500)),
  );
  let y = sketch.node("ConvTranspose", [real, sketch.constant("w", float32(shape, weights)), bias], {
    group,
    kernel_shape: kernel,
    strides,
    dilations,
    pads,
    output_padding: extra,
  });
  const output = sizes.map((size, axis) => {
    const [k, s, d] = [kernel, strides, dilations].map((each) => each[axis] as number) as [
      number,
      number,
      number,
    ];
    const padding = (pads[axis] as number) + (pads[axis + axes] as number);
    return s * (size - 1) + (extra[axis] as number) + d * (k - 1) + 1 - padding;
  });
  // A window that padding leaves nothing of is another trial.
  if (output.some((size) => size < 1)) return model(random, { axes, depthwise, quantized });
  const result = [1, K, ...output];
  y.shape = result;
  if (quantized) y = sketch.node("Mul", [y, sketch.real("m", 0.02)], {}, "float32", result);
  return sketch.model(y, result, quantized ? { scale: 1, zeroPoint: 100 } : null);
}

test.each([
  [{ axes: 2, depthwise: false, quantized: true }],
  [{ axes: 1, depthwise: false, quantized: true }],
  [{ axes: 2, depthwise: true, quantized: true }],
  [{ axes: 2, depthwise: false, quantized: false }],
] as const)("is computed by kernels, exactly: %o", async (kind) => {
  for (let trial = 0; trial < TRIALS; trial++) {
    const { graph, feeds } = model(new Random(trial), kind);
    const bytes = encodeModel(graphToModel(graph, { opset: 21, irVersion: 10, producerVersion: "test" }));
    const { operations } = raise(modelToGraph(decodeModel(bytes)), USUAL_OPERATORS);
    // The input, the sum; nothing that is computed in float32 node by node.
    expect(operations.filter(({ where }) => where.includes("(")).length).toBe(1);
    const [got] = Object.values(await (await engineRuntime.open({ bytes })).run(feeds)) as [Tensor];
    const [expected] = Object.values(await (await referenceRuntime.open({ bytes })).run(feeds)) as [Tensor];
    expect(got).toEqual(expected);
  }
});
