// The engine's products against the reference's: weights for each way in which sums are held, and results that leave bytes far behind.

import { readFileSync } from "node:fs";
import { describe, expect, test, vi } from "vitest";
import { sizeOf, tensor } from "../../src/base/tensor.js";
import { webAssembly } from "../../src/engine/web-assembly.js";
import { encodeModel } from "../../src/onnx/codec.js";
import { graphToModel } from "../../src/onnx/from-graph.js";
import { engineRuntime } from "../../src/runtime/engine.js";
import { referenceRuntime } from "../../src/runtime/reference.js";
import { Random, Sketch } from "../runtime/sketch.js";

interface Layer {
  readonly C: number;
  readonly K: number;
  readonly group: number;
  readonly kernel: number;
  readonly stride: number;
  /** About how many steps of the result a sum is from its zero point. */
  readonly spread: number;
  readonly real: boolean;
}

const hasRelaxedSimd = webAssembly.validate(readFileSync("dist/engine/relaxed.wasm"));

const fourProducts = (w: number, x: number): number => 4 * w * x;

/** The weight of element i, counted as channels of positions of the window, row by row. */
type WeightOf = (random: Random, i: number) => number;

const layer: Layer = { C: 16, K: 16, group: 1, kernel: 3, stride: 1, spread: 50, real: false };
const LAYERS: readonly Layer[] = [
  layer,
  { ...layer, C: 3, stride: 2 },
  { ...layer, C: 5, K: 13, kernel: 4 },
  { ...layer, C: 8, K: 48, kernel: 1 },
  { ...layer, C: 150, K: 8 },
  { ...layer, C: 150, K: 9, kernel: 1, real: true },
  { ...layer, C: 7, K: 21, group: 7 },
  { ...layer, C: 10, K: 16, group: 2 },
  { ...layer, C: 33, K: 33, group: 33 },
  { ...layer, C: 33, K: 33, group: 33, kernel: 5, stride: 2 },
];

const WEIGHTS: Readonly<Record<string, WeightOf>> = {
  "of three bits": (random) => random.integer(-4, 3),
  "of four bits, all the largest": () => 7,
  "of four bits, all the lowest": () => -8,
  "of three bits that share a power of two": (random) => 16 * random.integer(-4, 3),
  "of eight bits whose pairs fit 16 bits": (random, i) =>
    (i % 2 === 0 ? 127 : 1) * (random.next() < 0.5 && i % 2 === 1 ? -127 : 1),
  "of eight bits whose pairs do not": (random) => random.integer(-128, 127),
};

function file({ C, K, group, kernel, stride, spread, real }: Layer, random: Random, weightOf: WeightOf) {
  const sketch = new Sketch();
  const x = sketch.dequantize(sketch.input("x", random.bytes([1, C, 9, 7])), 0.05, 128);
  const channels = C / group;
  const elements = kernel * kernel;
  const shape = [K, channels, kernel, kernel];
  const weights = Int8Array.from({ length: sizeOf(shape) }, (_, at) => {
    const c = Math.floor(at / elements) % channels;
    return weightOf(random, (at % elements) * channels + c);
  });
  const norm = Math.sqrt(weights.reduce((sum, q) => sum + q * q, 1) / K);
  const scale = (norm * 0.05 * 0.05 * 75) / spread;
  const w = [
    sketch.constant("w", tensor("int8", shape, weights)),
    sketch.reals(
      "s",
      Array.from({ length: K }, () => random.scale()),
    ),
    sketch.constant("z", tensor("int8", [K], new Int8Array(K))),
  ];
  const y = sketch.node("Conv", [x, sketch.node("DequantizeLinear", w, { axis: 0 })], {
    group,
    kernel_shape: [kernel, kernel],
    strides: [stride, stride],
  });
  const side = (size: number): number => Math.floor((size - kernel) / stride) + 1;
  const output = [1, K, side(9), side(7)];
  const { graph, feeds } = sketch.model(y, output, real ? null : { scale, zeroPoint: 77 });
  const bytes = encodeModel(graphToModel(graph, { opset: 21, irVersion: 10, producerVersion: "test" }));
  return { bytes, feeds };
}

/** Elements that differ, and the fewest distinct values of a layer's result. */
async function compared(layers: readonly Layer[], weightOf: WeightOf) {
  const differing: number[] = [];
  const levels: number[] = [];
  for (const [i, each] of layers.entries()) {
    const { bytes, feeds } = file(each, new Random(i + 1), weightOf);
    const [got] = Object.values(await (await engineRuntime.open({ bytes })).run(feeds));
    const [expected] = Object.values(await (await referenceRuntime.open({ bytes })).run(feeds));
    expect(got?.shape).toEqual(expected?.shape);
    const numbers = Array.from(expected?.data ?? [], Number);
    levels.push(new Set(numbers).size);
    differing.push(numbers.filter((q, at) => q !== got?.data[at]).length);
  }
  return { differing, levels: Math.min(...levels) };
}

describe("sums of products are exact", () => {
  test.each(Object.keys(WEIGHTS))("of weights %s", async (title) => {
    const { differing, levels } = await compared(LAYERS, WEIGHTS[title] as WeightOf);
    expect(differing).toEqual(LAYERS.map(() => 0));
    // Not all of them at a limit.
    expect(levels).toBeGreaterThan(10);
  });

  test("of weights that are all zero", async () => {
    expect((await compared(LAYERS, () => 0)).differing).toEqual(LAYERS.map(() => 0));
  });

  // The kernels of processors that add four products in 32 bits: on others these are as exact while pairs fit 16 bits.
  test("four at a time, where a machine can do that", async () => {
    const real = webAssembly.instantiate.bind(webAssembly);
    const called = new Set<string>();
    const spy = vi.spyOn(webAssembly, "instantiate").mockImplementation(async (module, imports) => {
      const { exports } = (await real(module, imports)) as { exports: Record<string, unknown> };
      if (!("fourProducts" in exports)) return { exports };
      const counted =
        (name: string) =>
        (...call: number[]) => {
          called.add(name);
          (exports[name] as (...call: number[]) => void)(...call);
        };
      const kernels = ["convolutionQuads", "depthwiseQuads"].map((name) => [name, counted(name)]);
      // No pairs, as if none of the weights' fitted.
      return {
        exports: { ...exports, ...Object.fromEntries(kernels), fourProducts, twoProducts: () => 0 },
      };
    });
    const { differing, levels } = await compared(LAYERS, (random) => random.integer(-64, 63));
    spy.mockRestore();
    expect(differing).toEqual(LAYERS.map(() => 0));
    expect(levels).toBeGreaterThan(10);
    expect(called.size).toBe(hasRelaxedSimd ? 2 : 0);
  });

  test("where multipliers bring them far beyond a byte", async () => {
    const far = LAYERS.map((each) => ({ ...each, spread: 1e8 }));
    const { differing } = await compared(far, (random) => random.integer(-1, 1));
    expect(differing).toEqual(LAYERS.map(() => 0));
  });
});
