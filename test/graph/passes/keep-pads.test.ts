// Oracle: tfjs against ONNX Runtime, which would fuse the Pad into the pool.

import * as tf from "@tensorflow/tfjs";
import { describe, expect, test } from "vitest";
import { compareFloat } from "../../support/layers-models.js";
import { compareQuantized } from "../../support/quantized-models.js";

const L = tf.layers;

/** Signed values, so that a zero wins where minus infinity would not. */
function padded(kind: "max" | "average", padding: number): tf.LayersModel {
  const pool = { poolSize: 2, strides: 2, padding: "valid" } as const;
  return tf.sequential({
    layers: [
      L.conv2d({ inputShape: [6, 5, 2], filters: 3, kernelSize: 1 }),
      L.zeroPadding2d({ padding }),
      kind === "max" ? L.maxPooling2d(pool) : L.averagePooling2d(pool),
      L.conv2d({ filters: 2, kernelSize: 1 }),
    ],
  });
}

describe.each(["max", "average"] as const)("zeros around an image before %s pooling", (kind) => {
  // As wide as the window and wider: ONNX Runtime would not even load the fused pool.
  test.each([1, 2, 3])("are zeros, %i of them", async (padding) => {
    const { difference, magnitude } = await compareFloat(padded(kind, padding));
    expect(difference / magnitude).toBeLessThan(1e-6);
    for (const bits of [8, 3]) {
      const asked = { bits, activationBits: bits, firstLastBits: bits };
      const found = await compareQuantized(padded(kind, padding), asked);
      expect(found.mismatches).toEqual([]);
      expect(found.sqnrDb).toBeGreaterThan(bits === 8 ? 25 : 3);
    }
  });
});
