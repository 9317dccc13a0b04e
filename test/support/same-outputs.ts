// Two ONNX files on the same random inputs.

import { sizeOf, type Tensor } from "../../src/base/tensor.js";
import type { Graph, Value } from "../../src/graph/graph.js";
import { cpuRuntime } from "../../src/runtime/cpu.js";
import type { Runtime } from "../../src/runtime/runtime.js";
import { type CompareOptions, seeded } from "./layers-models.js";

/** Of all outputs, in their order, relative to the largest number of either. */
export async function largestDifference(
  expected: Uint8Array,
  got: Uint8Array,
  { inputs }: Pick<Graph, "inputs">,
  options: CompareOptions & { /** Of `got`; cpu when absent. */ readonly secondRuntime?: Runtime } = {},
): Promise<number> {
  const random = seeded(options.seed ?? 3);
  const feeds = Object.fromEntries(inputs.map((input) => [input.name, randomTensor(input, random, options)]));
  const [a, b] = [
    await outputsOf(cpuRuntime, expected, feeds),
    await outputsOf(options.secondRuntime ?? cpuRuntime, got, feeds),
  ];
  let [difference, magnitude] = [0, 0];
  a.forEach((tensor, i) => {
    const other = b[i];
    if (!other || tensor.shape.join() !== other.shape.join()) difference = Number.POSITIVE_INFINITY;
    Array.from(tensor.data as Float32Array, Number).forEach((x, j) => {
      const y = Number(other?.data[j]);
      magnitude = Math.max(magnitude, Math.abs(x));
      if (!Object.is(x, y))
        difference = Math.max(difference, Number.isNaN(x - y) ? Number.POSITIVE_INFINITY : Math.abs(x - y));
    });
  });
  return a.length === b.length ? difference / Math.max(magnitude, 1e-30) : Number.POSITIVE_INFINITY;
}

async function outputsOf(
  runtime: Runtime,
  bytes: Uint8Array,
  feeds: Readonly<Record<string, Tensor>>,
): Promise<Tensor[]> {
  const session = await runtime.open({ bytes }, { optimization: "none" });
  try {
    const results = await session.run(feeds);
    return session.outputs.map(({ name }) => results[name] as Tensor);
  } finally {
    await session.dispose();
  }
}

function randomTensor({ shape, dtype }: Value, random: () => number, options: CompareOptions): Tensor {
  const sizes = shape.map((dim) =>
    typeof dim === "number" ? dim : (options.sizes?.[dim] ?? (dim === "N" ? 2 : 5)),
  );
  const length = sizeOf(sizes);
  const { integersBelow } = options;
  const next = (): number =>
    integersBelow === undefined ? 4 * random() - 2 : Math.floor(random() * integersBelow);
  return dtype === "int32"
    ? { dtype: "int32", shape: sizes, data: Int32Array.from({ length }, next) }
    : { dtype: "float32", shape: sizes, data: Float32Array.from({ length }, next) };
}
