// Post-training quantization of weights, layer by layer in the order of the graph: each layer is fitted to give what the
// float network gives, from what the quantized network feeds it.

import { QdgError } from "../../base/error.js";
import { noProgress, type Progress } from "../../base/progress.js";
import { expectDType, float32 } from "../../base/tensor.js";
import { consumers, inputOf, type Node, outputOf, type Value } from "../../graph/graph.js";
import { isDepthwise } from "../../graph/node-kinds.js";
import type { Placement } from "../../graph/place-quantizers.js";
import { materialize } from "../../lower/materialize.js";
import { reductionOrder } from "../../lower/pair-sums.js";
import { type LayerStatistics, type PairLimit, reconstruct } from "../../quant/reconstruction/reconstruct.js";
import type { QuantSpec } from "../../quant/spec.js";
import { setBias } from "../bias-correction.js";
import { pairLimits } from "../fit-pairs.js";
import type { QuantizedGraph } from "../quantize.js";
import type { Samples } from "../samples.js";
import { LayerSums } from "./layer-sums.js";
import { Walk } from "./walk.js";
import { columnsOf, weightRows, type WeightRows } from "./weight-rows.js";

export interface ReconstructWeightsOptions {
  /** Take the mean error out of the biases; true. */
  readonly biasCorrection?: boolean;
  /** As {@link fitPairs} is left out; false. */
  readonly freeWeights?: boolean;
  readonly progress?: Progress;
}

/** Positions of one sample: more say nothing new, they lie next to each other. */
const MOST_POSITIONS = 784;
/** Of a depthwise kernel, whose statistics are 9 x 9. */
const MOST_POSITIONS_DEPTHWISE = 196;
/** A matrix of inputs by inputs beyond this takes too much memory and time. */
export const MOST_INPUTS = 4096;

/**
 * Gives the weights of an annotated graph other integers, scales and biases. A weight that is not fitted keeps what it has.
 *
 * @param quantized with activations annotated, and weights as a nearest rounding leaves them; changed in place
 * @returns a line for each reason why layers were not fitted
 */
export async function reconstructWeights(
  quantized: QuantizedGraph,
  samples: Samples,
  options: ReconstructWeightsOptions = {},
): Promise<readonly string[]> {
  const [quantizedWalk, floatWalk] = (await Walk.over([quantized.graph, quantized.float], samples)) as [
    Walk,
    Walk,
  ];
  try {
    return await reconstructAlong([quantized], quantizedWalk, floatWalk, options);
  } finally {
    await quantizedWalk.dispose();
    await floatWalk.dispose();
  }
}

/**
 * The same of several annotations of one network, each layer as if the float network fed it: what layers are measured by
 * one at a time.
 *
 * @param all of one float network, changed in place
 */
export async function reconstructEachAlone(
  all: readonly [QuantizedGraph, ...QuantizedGraph[]],
  samples: Samples,
  options: ReconstructWeightsOptions = {},
): Promise<void> {
  const { float } = all[0];
  const [inputs, outputs] = (await Walk.over([float, float], samples)) as [Walk, Walk];
  try {
    await reconstructAlong(all, inputs, outputs, options);
  } finally {
    await inputs.dispose();
    await outputs.dispose();
  }
}

/** @param all annotations of one network: what is seen of a layer serves each of them */
async function reconstructAlong(
  all: readonly [QuantizedGraph, ...QuantizedGraph[]],
  quantizedWalk: Walk,
  floatWalk: Walk,
  { biasCorrection = true, freeWeights = false, progress = noProgress }: ReconstructWeightsOptions,
): Promise<readonly string[]> {
  const [{ graph, float }] = all;
  const byWeight = new Map(all.flatMap(({ placements }) => weightPlacements(placements)));
  const uses = consumers(graph);
  const limits = new Map(freeWeights ? [] : all.flatMap((each) => [...pairLimits(each.graph)]));
  const left = new Map<string, string[]>();
  for (const [index, node] of graph.nodes.entries()) {
    progress.report("reconstructing", index + 1, graph.nodes.length);
    const weight = node.inputs[1];
    const placement = weight && byWeight.get(weight);
    if (!placement) continue;
    const rows = weightRows(node);
    const reason = whyNot(placement, rows, uses);
    if (reason !== null) left.set(reason, [...(left.get(reason) ?? []), node.origin]);
    if (reason !== null || !rows || rows.inputs === 1 || placement.spec.axis === null) continue;
    const [x, y] = [inputOf(node, 0).name, outputOf(float.nodes[index] as Node).name];
    await quantizedWalk.advance(index, new Set([x]));
    await floatWalk.advance(index + 1, new Set([y]));
    const seen = await seenOf(node, rows, [quantizedWalk, x], [floatWalk, y]);
    for (const each of all) {
      const same = each.graph.nodes[index] as Node;
      const own = inputOf(same, 1);
      const { spec } = byWeight.get(own) as Placement;
      const limit = spec.bits < 8 ? undefined : limits.get(own);
      try {
        fit(same, rows, spec, seen, biasCorrection, limit ?? null);
      } catch (thrown) {
        if (!(thrown instanceof QdgError) || thrown.code !== "invalid-data") throw thrown;
        left.set(OVERFLOW, [...(left.get(OVERFLOW) ?? []), node.origin]);
      }
    }
  }
  return [...left].map(
    ([reason, layers]) => `rounded to nearest, not fitted, for ${reason}: ${layers.join(", ")}`,
  );
}

const OVERFLOW = "values whose products leave float32";

/** Multiples of it fill 0..1 evenly: samples look at different positions. */
const GOLDEN = 0.618033988749895;

/** null: it can be fitted, or, without rows, there is nothing to fit that way. */
function whyNot(
  { values, spec }: Placement,
  rows: WeightRows | null,
  uses: ReadonlyMap<Value, readonly Node[]>,
): string | null {
  // A table of an Embedding, and batch normalization that runs by itself, have no sums.
  if (!rows || rows.inputs === 1 || spec.axis === null) return null;
  if (values.length > 1 || (uses.get(values[0] as Value) ?? []).length > 1)
    return "weights that several calls share";
  if (rows.inputs > MOST_INPUTS) return `more than ${MOST_INPUTS} inputs`;
  return null;
}

function weightPlacements(placements: readonly Placement[]): (readonly [Value, Placement])[] {
  return placements.flatMap((each) =>
    each.role === "weight" ? each.values.map((value) => [value, each] as const) : [],
  );
}

interface SeenLayer {
  /** Of each group. */
  readonly statistics: readonly LayerStatistics[];
  /** See {@link LayerSums}. */
  readonly inputSums: Float64Array;
  readonly outputSums: Float64Array;
  readonly positions: number;
  /** In float. */
  readonly bias: Float32Array;
}

/** What all samples show of a layer: what enters it in one walk, and what it gives in the other. */
async function seenOf(
  node: Node,
  rows: WeightRows,
  [inputs, x]: readonly [Walk, string],
  [outputs, y]: readonly [Walk, string],
): Promise<SeenLayer> {
  const most = isDepthwise(node) ? MOST_POSITIONS_DEPTHWISE : MOST_POSITIONS;
  const sums = await LayerSums.open(rows);
  try {
    for (let i = 0; i < outputs.samples; i++) {
      const values = [await inputs.value(i, x), await outputs.value(i, y)] as const;
      await sums.add(columnsOf(node, rows, ...values, most, (i * GOLDEN) % 1));
    }
    return await statisticsOf(rows, sums, biasOf(node, rows.groups * rows.outputs));
  } finally {
    await sums.dispose();
  }
}

/** The float network's outputs hold the bias, and the product does not: it is taken out of what goes with the inputs. */
async function statisticsOf(
  { groups, outputs, inputs }: WeightRows,
  sums: LayerSums,
  bias: Float32Array,
): Promise<SeenLayer> {
  const { inputSums, outputSums } = sums;
  const statistics = await sums.finish();
  for (let g = 0; g < groups; g++) {
    const { cross } = statistics[g] as LayerStatistics;
    for (let o = 0; o < outputs; o++) {
      for (let k = 0; k < inputs; k++) {
        const at = o * inputs + k;
        cross[at] =
          (cross[at] as number) - (bias[g * outputs + o] as number) * (inputSums[g * inputs + k] as number);
      }
    }
  }
  return { statistics, inputSums, outputSums, positions: sums.positions, bias };
}

function fit(
  node: Node,
  rows: WeightRows,
  spec: QuantSpec,
  seen: SeenLayer,
  biasCorrection: boolean,
  limit: number | null,
): void {
  const weight = inputOf(node, 1);
  const where = `${node.origin} (${node.op})`;
  const { data, shape } = expectDType(materialize(weight), "float32", where);
  const { groups, outputs, inputs, rowStart, offsets } = rows;
  const { statistics, inputSums, outputSums, positions } = seen;
  const channels = groups * outputs;
  const bias = Float64Array.from(seen.bias);
  const scale = new Float32Array(channels);
  const integers = new Int32Array(data.length);
  const pairs = limit === null ? null : pairsOf(node, rows, limit);
  const row = new Float32Array(outputs * inputs);
  for (let g = 0; g < groups; g++) {
    for (let o = 0; o < outputs; o++) {
      const start = rowStart[g * outputs + o] as number;
      for (let k = 0; k < inputs; k++) row[o * inputs + k] = data[start + (offsets[k] as number)] as number;
    }
    const found = reconstruct(row, statistics[g] as LayerStatistics, spec, { where, pairs });
    for (let o = 0; o < outputs; o++) {
      const channel = g * outputs + o;
      const start = rowStart[channel] as number;
      const s = found.scale[o] as number;
      scale[channel] = s;
      let mean = 0;
      for (let k = 0; k < inputs; k++) {
        const q = found.integers[o * inputs + k] as number;
        integers[start + (offsets[k] as number)] = q;
        mean += q * s * (inputSums[g * inputs + k] as number);
      }
      if (biasCorrection) bias[channel] = ((outputSums[channel] as number) - mean) / positions;
    }
  }
  // Batch normalization is in the target, so it is no factor of the scale any more.
  weight.constant = float32(shape, data);
  delete weight.channelFactor;
  weight.integers = integers;
  weight.quantization = { spec, params: { scale, zeroPoint: new Int32Array(channels) } };
  if (biasCorrection) setBias(node, bias);
}

function biasOf(node: Node, channels: number): Float32Array {
  const bias = node.inputs[2];
  return bias?.constant
    ? expectDType(materialize(bias), "float32", node.origin).data
    : new Float32Array(channels);
}

/** Which elements of a row meet in a kernel. */
function pairsOf(node: Node, { inputs }: WeightRows, limit: number): PairLimit {
  const { shape = [] } = inputOf(node, 1).constant ?? {};
  const order =
    node.op === "Conv" ? reductionOrder(shape, 0) : Int32Array.from({ length: inputs }, (_, k) => k);
  return { order, limit };
}
