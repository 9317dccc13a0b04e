// Gives calibrated 8-bit weights integers that a file can store signed, which is fast, without leaving int16 where
// there is no VNNI. Learned integers are never changed: lowering stores those that do not fit unsigned.

import { QdgError } from "../base/error.js";
import { expectDType, sizeOf, type Tensor } from "../base/tensor.js";
import { consumers, type Graph, inputOf, outputOf, type Value } from "../graph/graph.js";
import { kindOf, quantizerAfter } from "../graph/node-kinds.js";
import { integerSources } from "../graph/integer-sources.js";
import type { Placement } from "../graph/place-quantizers.js";
import { addsInPairs, reductionOrder } from "../lower/pair-sums.js";
import type { LearnedQuantizers } from "../quant/learned.js";
import { pairedWeights, pairLimit } from "../quant/paired-weights.js";
import { qmax, qmin, type Quantization } from "../quant/spec.js";
import { learnedFor } from "./annotate.js";

/** Below it no two weights add up to what leaves int16. */
const FITTED_BITS = 8;

/**
 * For every weight of 8 bits that was found and not learned: where integer kernels add its products in pairs, new
 * integers and scales by least squared error such that no pair can leave int16, whatever the input (see
 * `lower/pair-sums.ts`). Every output channel by itself; a weight that several nodes read keeps the narrowest of
 * their limits. Call it once weights and activations are annotated.
 *
 * @param powerOfTwo restrict scales to powers of two
 */
export function fitPairs(
  graph: Graph,
  placements: readonly Placement[],
  learned: LearnedQuantizers | null,
  powerOfTwo: boolean,
): void {
  const limits = pairLimits(graph);
  for (const placement of placements) {
    const { role, spec, values } = placement;
    if (role !== "weight" || spec.bits !== FITTED_BITS || learnedFor(placement, learned)) continue;
    const limit = Math.min(...values.map((value) => limits.get(value) ?? Number.POSITIVE_INFINITY));
    if (limit === Number.POSITIVE_INFINITY) continue;
    // Copies of a shared weight are one tensor, unless factors were multiplied into them.
    const found = new Map<Tensor, Fitted>();
    for (const value of values) {
      const { constant, quantization } = value;
      if (!constant || !quantization) throw new QdgError("internal", placement.layer, "is not quantized");
      const fitted = found.get(constant) ?? fit(constant, quantization, limit, powerOfTwo, placement.layer);
      found.set(constant, fitted);
      value.quantization = fitted.quantization;
      value.integers = fitted.integers;
    }
  }
}

/** By weight, the narrowest limit of the integer kernels that read it; none where no kernel adds in pairs. */
export function pairLimits(graph: Graph): Map<Value, number> {
  const uses = consumers(graph);
  const sources = integerSources(graph);
  const limits = new Map<Value, number>();
  for (const node of graph.nodes) {
    if (kindOf(node) !== "weighted") continue;
    const x = inputOf(node, 0);
    const { quantization } = sources.get(x) ?? x;
    const isQuantized = quantizerAfter(graph, uses, outputOf(node)) !== null;
    if (!quantization || !addsInPairs(node, isQuantized)) continue;
    const weight = inputOf(node, 1);
    const limit = pairLimit(qmax(quantization.spec) - qmin(quantization.spec));
    limits.set(weight, Math.min(limit, limits.get(weight) ?? limit));
  }
  return limits;
}

interface Fitted {
  readonly quantization: Quantization;
  readonly integers: Int32Array;
}

function fit(
  weight: Tensor,
  { spec, params }: Quantization,
  limit: number,
  powerOfTwo: boolean,
  layer: string,
): Fitted {
  const { data, shape } = expectDType(weight, "float32", layer);
  const axis = spec.axis;
  if (axis === null) throw new QdgError("internal", layer, "expected a scale for each output channel");
  const order = reductionOrder(shape, axis);
  const stride = sizeOf(shape.slice(axis + 1));
  const channels = shape[axis] as number;
  const scale = new Float32Array(channels);
  const integers = new Int32Array(data.length);
  const row = new Float32Array(order.length);
  for (let k = 0; k < channels; k++) {
    order.forEach((at, i) => (row[i] = data[at + k * stride] as number));
    const free = params.scale[k] as number;
    const fitted = pairedWeights(row, free, limit, { ...spec, axis: null }, { powerOfTwo, where: layer });
    scale[k] = fitted.scale;
    order.forEach((at, i) => (integers[at + k * stride] = fitted.integers[i] as number));
  }
  return { quantization: { spec, params: { scale, zeroPoint: new Int32Array(channels) } }, integers };
}
