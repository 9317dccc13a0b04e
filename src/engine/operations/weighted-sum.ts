// Conv, Gemm and MatMul of bytes with constant integers: `requantize(sum (q_x - z_x) w + bias, m)`, or float32.

import { QdgError } from "../../base/error.js";
import { float32 } from "../../base/tensor.js";
import { around } from "../../compute/shapes.js";
import type { Value } from "../../graph/graph.js";
import type { Bytes } from "../bytes.js";
import { newBytes } from "../bytes.js";
import type { EngineMemory } from "../memory.js";
import type { Kernels } from "../module.js";
import type { Limits, Operation, Run } from "./operation.js";
import { convolutionKernel, depthwiseKernel } from "./product-kernels.js";
import { elementOffsets, putPlaces, putWindows, type Windows, widenFor } from "./positions.js";

const LARGEST_BYTE = 255;
const LARGEST_INT32 = 2 ** 31 - 1;
/** Outputs of the kernels of convolution at a time, and bytes of a step along K. */
const OUTPUTS = 8;
const STEP = 4;
/** Channels of the depthwise kernel at a time. */
const CHANNELS = 16;

/** The sums of one node. */
export interface WeightedSum {
  readonly where: string;
  readonly x: Bytes;
  readonly zeroX: number;
  readonly windows: Windows;
  readonly group: number;
  /** [K, C / group, R, S], each within int8. */
  readonly weights: Int32Array;
  readonly bias: Int32Array;
  readonly multiplier: Float32Array;
}

/** Bytes. @throws QdgError `unsupported-op` for sums that may leave int32 */
export function weightedSum(sum: WeightedSum, y: Bytes, limits: Limits): Operation {
  const bias = wholeBias(sum);
  widenFor(sum.x, sum.windows, sum.zeroX);
  const depthwise = isDepthwise(sum);
  if (depthwise) {
    for (const { storage } of [sum.x, y]) {
      if (storage.C < CHANNELS) storage.step = CHANNELS;
    }
  }
  return {
    where: sum.where,
    reads: [sum.x],
    writes: y,
    prepare: (memory, kernels) => {
      const target = memory.putTarget(limits.low, limits.high, limits.zeroPoint);
      if (depthwise) return prepareDepthwise(sum, bias, y, target, memory, kernels);
      const places: Places = (multiple, offset) => putPlaces(memory, y.storage, multiple, offset);
      return prepareConvolution(sum, bias, places, target, 1, memory, kernels);
    },
  };
}

/** `fl(fl(acc) * m[k])` as float32 of that shape. */
export function realSum(
  sum: WeightedSum,
  value: Value,
  shape: readonly number[],
  channelAxis: number,
): Operation {
  const bias = wholeBias(sum);
  widenFor(sum.x, sum.windows, sum.zeroX);
  // Where the elements of the result are, as if it were bytes.
  const y = newBytes(value.name, shape, channelAxis);
  return {
    where: sum.where,
    reads: [sum.x],
    writes: null,
    prepare: (memory, kernels) => {
      const { H, W, step } = y.storage;
      const results = memory.reserve(H * W * step * 4);
      const places: Places = (multiple, offset) => {
        const count = Math.ceil((H * W) / multiple) * multiple;
        const addressAt = (at: number): number => results + (Math.min(at, H * W - 1) * step + offset) * 4;
        return memory.put(Uint32Array.from({ length: count }, (_, at) => addressAt(at)));
      };
      const run = prepareConvolution(sum, bias, places, 0, 4, memory, kernels);
      return (tensors) => {
        run(tensors);
        const stored = new Float32Array(memory.memory.buffer, results, H * W * step);
        const data = inFileOrder(stored, y);
        tensors.set(value, float32(shape, data));
      };
    },
  };
}

/** Elements of an image of float32, `step` apart from position to position, in the order of the file. */
function inFileOrder(stored: Float32Array, { shape, channelAxis, storage }: Bytes): Float32Array {
  const { step } = storage;
  const [outer, C, inner] = around(shape, channelAxis);
  const data = new Float32Array(outer * C * inner);
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < C; c++) {
      let from = o * inner * step + c;
      for (let i = 0; i < inner; i++, from += step) data[at++] = stored[from] as number;
    }
  }
  return data;
}

/** The bias with what the zero point of the input adds: `bias[k] - z_x sum w[k]`. */
function wholeBias({ where, zeroX, weights, bias, multiplier }: WeightedSum): Int32Array {
  const K = bias.length;
  const count = weights.length / K;
  return bias.map((each, k) => {
    let sum = 0;
    let absolute = 0;
    for (let i = k * count; i < (k + 1) * count; i++) {
      sum += weights[i] as number;
      absolute += Math.abs(weights[i] as number);
    }
    const whole = each - zeroX * sum;
    const most = Math.max(Math.abs(whole), Math.abs(each)) + LARGEST_BYTE * absolute;
    if (most > LARGEST_INT32) {
      throw new QdgError(
        "unsupported-op",
        where,
        `sums of channel ${k} may reach ${most}, expected at most ${LARGEST_INT32}; use fewer bits`,
      );
    }
    if (!Number.isFinite(multiplier[k])) {
      throw new QdgError("invalid-graph", where, `channel ${k}: got ${multiplier[k]} as multiplier`);
    }
    return whole;
  });
}

function isDepthwise({ x, group, weights, bias, windows }: WeightedSum): boolean {
  const elements = windows.rows.kernel * windows.columns.kernel;
  return group > 1 && group === x.storage.C && bias.length === group && weights.length === group * elements;
}

/** Puts the list of where results go, from output `offset` on, filled up to a multiple. */
type Places = (multiple: number, offset: number) => number;

/** Groups whose outputs fill whole blocks run one after the other; others as one product with zeros in between. */
function prepareConvolution(
  sum: WeightedSum,
  bias: Int32Array,
  places: Places,
  target: number,
  size: number,
  memory: EngineMemory,
  kernels: Kernels,
): Run {
  const { x, windows } = sum;
  const elements = windows.rows.kernel * windows.columns.kernel;
  const kernel = convolutionKernel(sum.weights, kernels);
  const { multiple, shift } = kernel;
  const { outputSize } = windows.columns;
  const positions = Math.ceil((windows.rows.outputSize * outputSize) / multiple) * multiple;
  const calls = groupsOf(sum).map(({ weights, channels, firstChannel, outputs, firstOutput }) => {
    const chunks = Math.ceil(channels / STEP);
    const steps = elements * chunks;
    const blocks = Math.ceil(outputs / OUTPUTS);
    const packed = new Int8Array(blocks * steps * OUTPUTS * STEP);
    for (let k = 0; k < outputs; k++) {
      for (let c = 0; c < channels; c++) {
        for (let e = 0; e < elements; e++) {
          const step = (Math.floor(k / OUTPUTS) * steps + e * chunks + Math.floor(c / STEP)) * OUTPUTS;
          packed[(step + (k % OUTPUTS)) * STEP + (c % STEP)] =
            (weights[(k * channels + c) * elements + e] as number) >> shift;
        }
      }
    }
    const offsets = elementOffsets(x.storage, windows).flatMap((offset) =>
      Array.from({ length: chunks }, (_, chunk) => offset + chunk * STEP),
    );
    return {
      windows: putWindows(memory, x.storage, windows, multiple, firstChannel),
      places: places(multiple, firstOutput),
      weights: memory.put(packed),
      parameters: putParameters(memory, bias, sum.multiplier, firstOutput, outputs, OUTPUTS),
      blocks,
      offsets: memory.put(Uint32Array.from(offsets)),
      steps,
    };
  });
  return () => {
    for (const each of calls) {
      kernel.run(
        each.windows,
        each.places,
        positions,
        each.weights,
        each.parameters,
        each.blocks,
        each.offsets,
        each.steps,
        target,
        size,
      );
    }
  };
}

interface Group {
  /** [outputs, channels, elements] */
  readonly weights: Int32Array;
  readonly channels: number;
  readonly firstChannel: number;
  readonly outputs: number;
  readonly firstOutput: number;
}

function groupsOf({ x, group, weights, bias }: WeightedSum): Group[] {
  const K = bias.length;
  const { C } = x.storage;
  const perGroup = K / group;
  const channels = C / group;
  const elements = weights.length / (K * channels);
  if (perGroup % OUTPUTS === 0 || group === 1) {
    return Array.from({ length: group }, (_, g) => ({
      weights: weights.subarray(g * perGroup * channels * elements, (g + 1) * perGroup * channels * elements),
      channels,
      firstChannel: g * channels,
      outputs: perGroup,
      firstOutput: g * perGroup,
    }));
  }
  const dense = new Int32Array(K * C * elements);
  for (let k = 0; k < K; k++) {
    const from = weights.subarray(k * channels * elements, (k + 1) * channels * elements);
    dense.set(from, (k * C + Math.floor(k / perGroup) * channels) * elements);
  }
  return [{ weights: dense, channels: C, firstChannel: 0, outputs: K, firstOutput: 0 }];
}

/** Blocks of int32 biases and float32 multipliers; what fills the last block up is 0. */
function putParameters(
  memory: EngineMemory,
  bias: Int32Array,
  multiplier: Float32Array,
  first: number,
  count: number,
  block: number,
): number {
  const blocks = Math.ceil(count / block);
  const floats = new Float32Array(blocks * block * 2);
  const integers = new Int32Array(floats.buffer);
  for (let k = 0; k < count; k++) {
    const at = Math.floor(k / block) * block * 2 + (k % block);
    integers[at] = bias[first + k] as number;
    floats[at + block] = multiplier[first + k] as number;
  }
  return memory.put(floats);
}

function prepareDepthwise(
  { x, windows, weights, multiplier }: WeightedSum,
  bias: Int32Array,
  y: Bytes,
  target: number,
  memory: EngineMemory,
  kernels: Kernels,
): Run {
  const { C } = x.storage;
  const kernel = depthwiseKernel(weights, kernels);
  const { shift } = kernel;
  const elements = windows.rows.kernel * windows.columns.kernel;
  const pairs = Math.ceil(elements / 2);
  const blocks = Math.ceil(C / CHANNELS);
  // The last block ends with the last channel where there are enough: it computes some channels again.
  const firsts = Uint32Array.from({ length: blocks }, (_, b) =>
    Math.max(0, Math.min(b * CHANNELS, C - CHANNELS)),
  );
  const packed = new Int8Array(blocks * pairs * CHANNELS * 2);
  const blockBias = new Int32Array(blocks * CHANNELS);
  const blockMultiplier = new Float32Array(blocks * CHANNELS);
  firsts.forEach((first, b) => {
    for (let i = 0; i < CHANNELS && first + i < C; i++) {
      const c = first + i;
      blockBias[b * CHANNELS + i] = bias[c] as number;
      blockMultiplier[b * CHANNELS + i] = multiplier[c] as number;
      for (let e = 0; e < elements; e++) {
        const at = ((b * pairs + Math.floor(e / 2)) * CHANNELS + i) * 2 + (e % 2);
        packed[at] = (weights[c * elements + e] as number) >> shift;
      }
    }
  });
  const offsets = elementOffsets(x.storage, windows);
  if (offsets.length % 2 !== 0) offsets.push(offsets.at(-1) as number);
  const call = [
    putWindows(memory, x.storage, windows, 1),
    putPlaces(memory, y.storage, 1),
    windows.rows.outputSize * windows.columns.outputSize,
    memory.put(firsts),
    blocks,
    memory.put(packed),
    putParameters(memory, blockBias, blockMultiplier, 0, blockBias.length, CHANNELS),
    memory.put(Uint32Array.from(offsets)),
    pairs,
    target,
  ] as const;
  return () => kernel.run(...call);
}
