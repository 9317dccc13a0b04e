// Made-up inputs of a network: for timing, and for a file that has no samples to be verified on. The same for the same
// seed on every machine.

import { allocate, boundedSize, type Tensor } from "../base/tensor.js";
import type { Graph, Value } from "../graph/graph.js";
import { kindOf } from "../graph/node-kinds.js";
import type { Preprocessing } from "../image/preprocessing.js";
import { qmax, qmin } from "../quant/spec.js";
import type { Feeds } from "./arrays.js";
import type { CompleteExportOptions } from "./options.js";

/** Sizes that only run time knows. */
const DYNAMIC_SIZE = 64;

/** A batch of one; sizes that the graph leaves open are those of `inputSize`, or 64. */
export function sampleShape(
  input: Value,
  { inputSize, layout }: Pick<CompleteExportOptions, "inputSize" | "layout">,
): number[] {
  const firstSpatial = layout === "nhwc" ? 1 : 2;
  return input.shape.map((dim, axis) =>
    typeof dim === "number" ? dim : axis === 0 ? 1 : (inputSize?.[axis - firstSpatial] ?? DYNAMIC_SIZE),
  );
}

/**
 * Real inputs uniform over what their quantizer holds, else over the range of the preprocessing, else over -1..1;
 * integers over the rows of the least table that the network looks up, or over 0 and 1.
 *
 * @param graph with `quantization` on its inputs
 */
export function randomFeeds(
  graph: Graph,
  preprocessing: Preprocessing | null,
  options: Pick<CompleteExportOptions, "inputSize" | "layout">,
  seed: number,
): Feeds {
  const random = uniform(seed);
  const rows = graph.nodes.map((node) => (kindOf(node) === "lookup" ? node.inputs[0]?.shape[0] : undefined));
  const known = rows.filter((count) => typeof count === "number");
  const choices = known.length > 0 ? Math.min(...known) : 2;
  return Object.fromEntries(
    graph.inputs.map((input): [string, Tensor] => {
      const shape = sampleShape(input, options);
      const size = boundedSize(shape, "usage", input.name, "shape");
      if (input.dtype === "float32") {
        const [low, high] = rangeOf(input, preprocessing);
        const data = new Float32Array(size).map(() => low + (high - low) * random());
        return [input.name, { dtype: "float32", shape, data }];
      }
      const data = allocate(input.dtype, size);
      if (input.dtype === "int32")
        (data as Int32Array).forEach((_, i) => (data[i] = Math.floor(random() * choices)));
      return [input.name, { dtype: input.dtype, shape, data }];
    }),
  );
}

function rangeOf({ quantization }: Value, preprocessing: Preprocessing | null): readonly [number, number] {
  if (!quantization) return preprocessedRange(preprocessing);
  const { spec, params } = quantization;
  const [scale, zeroPoint] = [params.scale[0] as number, params.zeroPoint[0] as number];
  return [(qmin(spec) - zeroPoint) * scale, (qmax(spec) - zeroPoint) * scale];
}

/** The range of the first channel after preprocessing; -1..1 without one. */
export function preprocessedRange(preprocessing: Preprocessing | null): readonly [low: number, high: number] {
  const { range = [-1, 1], mean = [0], std = [1] } = preprocessing ?? {};
  const at = (end: number): number => (end - (mean[0] as number)) / (std[0] as number);
  return [at(range[0]), at(range[1])];
}

/** Numbers in [0, 1): a linear congruential generator (Numerical Recipes), its low bits left out. */
export function uniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) / 2 ** 24;
  };
}
