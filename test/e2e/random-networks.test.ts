// Networks that nobody would draw, through the float export and through quantization.

import { describe, expect, test } from "vitest";
import { chance } from "../support/layer-cases.js";
import { compareFloat } from "../support/layers-models.js";
import { compareQuantized } from "../support/quantized-models.js";
import { randomNetwork } from "../support/random-networks.js";

const SEEDS = Array.from({ length: 10 }, (_, i) => i + 1);

describe("a random network", () => {
  test.each(SEEDS)(
    "computes what tfjs computes, and the same integers on every runtime (seed %i)",
    async (seed) => {
      const c = chance(seed);
      const { model, saved } = await randomNetwork(seed, 10);
      const options = { seed, saved, keepWeights: true };
      const float = await compareFloat(model, options);
      expect(float.difference / Math.max(1, float.magnitude)).toBeLessThan(1e-4);
      const found = await compareQuantized(
        model,
        {
          bits: c.int(2, 8),
          firstLastBits: c.int(2, 8),
          powerOfTwo: c.int(0, 3) === 0,
          signedActivations: c.pick(["asymmetric", "signed"]),
          observer: c.pick(["mse", "minmax", "percentile"]),
        },
        options,
      );
      expect(found.tensors).toBeGreaterThan(0);
      expect(found.mismatches).toEqual([]);
      expect(found.outputDifference).toBeLessThan(1e-5);
      model.dispose();
    },
  );
});
