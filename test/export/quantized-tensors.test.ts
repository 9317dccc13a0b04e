// What a file says of its quantized tensors: scale and zero point where no QuantizeLinear or DequantizeLinear states
// them, and the twins of the other forms.

import * as tf from "@tensorflow/tfjs";
import { expect, test } from "vitest";
import { quantizedTensors } from "../../src/export/quantized-tensors.js";
import { decodeModel } from "../../src/onnx/codec.js";
import { matchTensors } from "../../src/parity/match-tensors.js";
import { row } from "../support/layer-cases.js";
import { compareQuantized, withHeads } from "../support/quantized-models.js";

const L = tf.layers;

test.each([
  ["a softmax", () => L.softmax({ axis: -1 }), expect.closeTo(2 / 255, 2)],
  ["a transposed convolution", () => L.conv2dTranspose({ filters: 2, kernelSize: 2 }), null],
])(
  "a table whose result only %s reads has its zero point from there, and its twin in every form",
  async (_, layer, scale) => {
    const conv = L.conv2d({ inputShape: [6, 6, 3], filters: 4, kernelSize: 1, activation: "tanh" });
    const { files } = await compareQuantized(withHeads(row(conv, layer())), { bits: 8 });
    const integer = decodeModel(files.get("integer") as Uint8Array);
    const table = quantizedTensors(integer).find(({ name }) => name === conv.name);
    expect(table?.zeroPoint).toBeGreaterThan(100);
    expect(table?.scale ?? null).toEqual(scale);
    for (const form of ["float", "webgpu"] as const) {
      expect(matchTensors(integer, decodeModel(files.get(form) as Uint8Array)).unmatched).toEqual([]);
    }
  },
);
