// Oracle: ONNX Runtime. Rows times columns are what the operator gives, for every layout of weights.

import * as fc from "fast-check";
import { expect, test } from "vitest";
import { float32, sizeOf } from "../../../src/base/tensor.js";
import { floatFile } from "../../../src/export/float-file.js";
import { LayerSums } from "../../../src/export/reconstruction/layer-sums.js";
import { columnsOf, weightRows } from "../../../src/export/reconstruction/weight-rows.js";
import { GraphBuilder } from "../../../src/graph/builder.js";
import type { Attribute, Node } from "../../../src/graph/graph.js";
import { cpuRuntime } from "../../../src/runtime/cpu.js";
import { gaussian } from "../../support/arbitrary.js";

interface Case {
  readonly op: "Conv" | "ConvTranspose" | "Gemm" | "MatMul";
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

const sizes = fc.integer({ min: 3, max: 6 });
const spatial = fc
  .record({
    op: fc.constantFrom("Conv" as const, "ConvTranspose" as const),
    image: fc.array(sizes, { minLength: 1, maxLength: 3 }),
    batch: fc.integer({ min: 1, max: 2 }),
    group: fc.integer({ min: 1, max: 3 }),
    channels: fc.integer({ min: 1, max: 3 }),
    filters: fc.integer({ min: 1, max: 3 }),
    kernel: fc.integer({ min: 1, max: 3 }),
    stride: fc.integer({ min: 1, max: 2 }),
    dilation: fc.integer({ min: 1, max: 2 }),
    pad: fc.integer({ min: 0, max: 1 }),
  })
  .map(({ op, image, batch, group, channels, filters, kernel, stride, dilation, pad }): Case => {
    const rank = image.length;
    const all = (x: number, count = rank): number[] => Array.from({ length: count }, () => x);
    // A transposed convolution takes away what it pads: it keeps to what its kernel adds.
    const pads = all(kernel > 1 ? pad : 0, 2 * rank);
    const dilations = all(kernel * dilation > 3 ? 1 : dilation);
    const shape = op === "Conv" ? [group * filters, channels] : [group * channels, filters];
    return {
      op,
      x: [batch, group * channels, ...image],
      w: [...shape, ...all(kernel)],
      attributes: { strides: all(stride), dilations, pads, group, kernel_shape: all(kernel) },
    };
  });
const matrix = fc
  .record({ kind: fc.constantFrom("Gemm", "Gemm transposed", "MatMul"), n: sizes, c: sizes, k: sizes })
  .map(({ kind, n, c, k }): Case => {
    if (kind === "MatMul") return { op: "MatMul", x: [2, n, c], w: [c, k], attributes: {} };
    if (kind === "Gemm") return { op: "Gemm", x: [n, c], w: [c, k], attributes: {} };
    return { op: "Gemm", x: [n, c], w: [k, c], attributes: { transB: 1 } };
  });

async function run({ op, x, w, attributes }: Case, seed: number) {
  const builder = new GraphBuilder("test");
  const input = builder.input("x", x);
  const weight = builder.constant("w", float32(w, gaussian(sizeOf(w), seed)));
  const unknown = op === "Gemm" ? ["N", "K"] : x.map((_, axis) => `d${axis}`);
  const output = builder.node(op, "layer", [input, weight], { name: "y", shape: unknown }, attributes);
  builder.output(output);
  const session = await cpuRuntime.open({ bytes: floatFile(builder.graph, 21) });
  const feed = float32(x, gaussian(sizeOf(x), seed + 1));
  const { y } = await session.run({ x: feed });
  await session.dispose();
  return { node: output.producer as Node, feed, weight, y: y! };
}

test("rows of weights times columns of inputs are the outputs at their positions", async () => {
  const property = fc.asyncProperty(
    fc.oneof({ weight: 4, arbitrary: spatial }, { weight: 1, arbitrary: matrix }),
    fc.integer({ min: 1, max: 40 }),
    fc.nat(1e6),
    async (each, most, seed) => {
      const { node, feed, weight, y } = await run(each, seed);
      const rows = weightRows(node)!;
      const { count, inputs, outputs } = columnsOf(node, rows, feed, y, most, 0.4);
      expect(count).toBe(Math.min(most, y.data.length / (rows.groups * rows.outputs)));
      const w = weight.constant!.data as Float32Array;
      for (let o = 0; o < rows.groups * rows.outputs; o++) {
        const group = Math.floor(o / rows.outputs);
        for (let p = 0; p < count; p++) {
          let sum = 0;
          for (let k = 0; k < rows.inputs; k++) {
            sum += w[rows.rowStart[o]! + rows.offsets[k]!]! * inputs[(group * rows.inputs + k) * count + p]!;
          }
          expect(Math.abs(sum - outputs[o * count + p]!)).toBeLessThan(1e-4);
        }
      }
    },
  );
  await fc.assert(property, { numRuns: 150 });
});

test("sums over several samples are those of all their columns", async () => {
  const each: Case = {
    op: "Conv",
    x: [1, 4, 9, 9],
    w: [6, 2, 3, 3],
    attributes: { group: 2, kernel_shape: [3, 3] },
  };
  const samples = [await run(each, 1), await run(each, 2)];
  const node = samples[0]!.node;
  const rows = weightRows(node)!;
  const sums = await LayerSums.open(rows);
  const columns = samples.map(({ feed, y }) => columnsOf(node, rows, feed, y, 1000, 0));
  for (const one of columns) await sums.add(one);
  const statistics = await sums.finish();
  expect(statistics.map(({ positions }) => positions)).toEqual([98, 98]);
  const K = rows.inputs;
  for (const [g, { gram, cross }] of statistics.entries()) {
    const product = (of: "inputs" | "outputs", row: number, k: number): number => {
      let sum = 0;
      for (const { count, ...data } of columns) {
        for (let p = 0; p < count; p++)
          sum += data[of][row * count + p]! * data.inputs[(g * K + k) * count + p]!;
      }
      return sum;
    };
    expect(gram[5 * K + 11]).toBeCloseTo(product("inputs", g * K + 5, 11), 3);
    expect(gram[11 * K + 5]).toBeCloseTo(gram[5 * K + 11]!, 3);
    expect(cross[2 * K + 7]).toBeCloseTo(product("outputs", g * rows.outputs + 2, 7), 3);
  }
});
