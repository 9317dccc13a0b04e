// What quantization cost: where it says that most is lost.

import { expect, test } from "vitest";
import { float32 } from "../../src/base/tensor.js";
import { measureCost } from "../../src/export/cost.js";
import { integerFile } from "../../src/export/integer-file.js";
import type { Samples } from "../../src/export/samples.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Graph } from "../../src/graph/graph.js";
import { quantizeWith } from "../support/quantize-with.js";

/** A dense layer that gives values of up to 1000, their tanh, and a dense layer. */
function network(): Graph {
  const net = new GraphBuilder("network");
  const x = net.input("x", ["N", 4]);
  const dense = (
    name: string,
    weight: number,
  ): { weight: ReturnType<typeof net.constant>; name: string } => ({
    weight: net.constant(
      `${name}/kernel`,
      float32(
        [4, 4],
        new Float32Array(16).map((_, i) => weight * ((i % 5) - 2)),
      ),
    ),
    name,
  });
  const before = dense("before", 50);
  const after = dense("after", 1);
  const wide = net.node(
    "Gemm",
    "before",
    [x, before.weight],
    { name: "before", shape: ["N", 4] },
    { transB: 1 },
  );
  const bounded = net.node("Tanh", "tanh", [wide], { name: "tanh", shape: ["N", 4] });
  net.output(
    net.node("Gemm", "after", [bounded, after.weight], { name: "after", shape: ["N", 4] }, { transB: 1 }),
  );
  return net.graph;
}

const samples: Samples = {
  count: 40,
  async *read() {
    for (let i = 0; i < 40; i++) {
      // Most are far out, where tanh is 1 or -1; a few where it is not.
      const size = i % 4 === 0 ? 0.02 : 4;
      yield { x: float32([1, 4], [size, -size / 2, size * Math.sin(i), size * Math.cos(i)]) };
    }
  },
};

test("a quantizer before a saturating tanh is measured by what the tanh gives", async () => {
  const { graph, float, placements } = await quantizeWith(network(), { bits: 8 }, samples);
  const before = placements.find(({ layer, role }) => layer === "before" && role === "activation");
  const scale = before?.values[0]?.quantization?.params.scale[0] as number;
  // The scale was chosen for the tanh: it clips almost all of the values, up to 1000 and more.
  expect(scale * 255).toBeLessThan(100);
  const { bytes } = integerFile(graph, 21, { form: "integer", weights: "packed" }, () => ({}));
  const { worst } = await measureCost(float, placements, bytes, samples);
  const found = worst.find(({ layer, what }) => layer === "before" && what === "activations");
  expect(found?.sqnrDb ?? Infinity).toBeGreaterThan(30);
});
