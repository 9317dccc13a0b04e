// Oracle: ONNX Runtime on a graph of one node; a table of known values for erfc.

import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { float32 } from "../../src/base/tensor.js";
import { erfc, scalarActivation } from "../../src/graph/activations.js";
import { GraphBuilder } from "../../src/graph/builder.js";
import type { Attribute, Graph, Node } from "../../src/graph/graph.js";
import { floatBytes } from "../support/layers-models.js";

const GRID = Float32Array.from({ length: 801 }, (_, i) => (i - 400) / 20);

function single(
  op: string,
  attributes: Record<string, Attribute>,
  scalars: readonly number[],
  domain: "" | "qdg" = "",
): Graph {
  const builder = new GraphBuilder(op);
  const x = builder.input("x", [GRID.length]);
  const constants = scalars.map((scalar, i) => builder.constant(`c${i}`, float32([], [scalar])));
  builder.output(
    builder.node(op, "layer", [x, ...constants], { name: "y", shape: x.shape }, attributes, domain),
  );
  return builder.graph;
}

const ROWS: readonly {
  op: string;
  attributes?: Record<string, Attribute>;
  scalars?: number[];
  domain?: "qdg";
}[] = [
  { op: "Identity" },
  { op: "Relu" },
  { op: "Clip", scalars: [0, 6] },
  { op: "Clip", scalars: [-1.5, 0.3] },
  { op: "LeakyRelu", attributes: { alpha: { float: 0.1 } } },
  { op: "LeakyRelu" },
  { op: "PRelu", scalars: [-0.7] },
  { op: "ThresholdedRelu", attributes: { alpha: { float: 0.7 } } },
  { op: "Elu", attributes: { alpha: { float: 1 } } },
  { op: "Selu" },
  { op: "Sigmoid" },
  { op: "HardSigmoid", attributes: { alpha: { float: 0.2 }, beta: { float: 0.5 } } },
  { op: "Tanh" },
  { op: "Softplus" },
  { op: "Softsign" },
  { op: "Gelu", attributes: { approximate: "none" } },
  { op: "Gelu", attributes: { approximate: "tanh" } },
  { op: "Mish" },
  { op: "Exp" },
  { op: "Swish", domain: "qdg" },
  { op: "GeneralRelu", domain: "qdg" },
  {
    op: "GeneralRelu",
    domain: "qdg",
    attributes: { max_value: { float: 6 }, negative_slope: { float: 0.2 } },
  },
  {
    op: "GeneralRelu",
    domain: "qdg",
    attributes: { max_value: { float: 3 }, negative_slope: { float: -0.5 }, threshold: { float: 1.25 } },
  },
];

describe("scalarActivation", () => {
  test.each(ROWS)(
    "$op $attributes $scalars is the function that ONNX Runtime computes",
    async ({ op, attributes, scalars, domain }) => {
      const graph = single(op, attributes ?? {}, scalars ?? [], domain ?? "");
      const f = scalarActivation(graph.nodes[0] as Node);
      const session = await ort.InferenceSession.create(floatBytes(graph));
      const { y } = await session.run({ x: new ort.Tensor("float32", GRID, [GRID.length]) });
      const results = y?.data as Float32Array;
      results.forEach((got, i) => {
        const want = f?.(GRID[i] as number) ?? Number.NaN;
        expect(Math.abs(got - want), `at ${GRID[i]}: got ${got}, expected ${want}`).toBeLessThan(
          2e-6 * Math.max(1, Math.abs(want)),
        );
      });
      await session.release();
    },
  );

  test("functions of more than one element have none", () => {
    for (const op of ["Softmax", "Add", "Conv", "MaxPool"])
      expect(scalarActivation(single(op, {}, []).nodes[0] as Node)).toBeNull();
    const slopes = single("PRelu", {}, [0.1]);
    const [, slope] = slopes.nodes[0]?.inputs ?? [];
    Object.assign(slope ?? {}, { constant: float32([2], [0.1, 0.2]) });
    expect(scalarActivation(slopes.nodes[0] as Node)).toBeNull();
  });

  test("large arguments neither overflow nor turn into NaN", () => {
    for (const row of ROWS.filter(({ op }) => op !== "Exp")) {
      const f = scalarActivation(
        single(row.op, row.attributes ?? {}, row.scalars ?? [], row.domain ?? "").nodes[0] as Node,
      );
      for (const x of [-1e4, 1e4]) expect(Number.isFinite(f?.(x)), `${row.op}(${x})`).toBe(true);
    }
  });
});

// Values of Abramowitz and Stegun's tables, to more digits from the defining integral.
test.each([
  [0, 1],
  [0.5, 0.4795001221869535],
  [1, 0.15729920705028513],
  [2, 0.004677734981047266],
  [2.5, 0.000406952017444959],
  [3, 2.209049699858544e-5],
  [5, 1.5374597944280349e-12],
  [-1, 1.8427007929497148],
])("erfc(%f) is %f", (x, expected) => {
  expect(Math.abs(erfc(x) / expected - 1)).toBeLessThan(1e-12);
});
