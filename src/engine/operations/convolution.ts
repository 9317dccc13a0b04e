// Convolution and products of matrices as calls of one kernel: weights in its order, lists of where windows begin.

import type { EngineMemory } from "../memory.js";
import type { Kernels } from "../module.js";
import { elementOffsets, elementsOf, putWindows, resultRows } from "./positions.js";
import { convolutionKernel, type PackedWeights, withCentre } from "./product-kernels.js";
import { sumBounds, type WeightTotals } from "./sum-bounds.js";
import type { WeightedSum } from "./weighted-sum.js";

/** Outputs of the kernels of convolution at a time, and bytes of a step along K. */
const OUTPUTS = 8;
const STEP = 4;

/** Puts the list of where results go, from output `offset` on, filled up to a multiple. */
export type Places = (multiple: number, offset: number) => number;

export interface PreparedConvolution {
  /** Whether results may be bytes: see sum-bounds.ts. */
  readonly isNear: boolean;
  /** @param target see requantize.ts; 0: float32 @param size bytes of a result */
  into(places: Places, target: number, size: number): () => void;
}

/**
 * Groups whose outputs fill whole blocks run one after the other; others as one product with zeros in between.
 *
 * @throws QdgError `unsupported-op` for sums that may leave int32
 */
export function preparedConvolution(
  sum: WeightedSum,
  memory: EngineMemory,
  kernels: Kernels,
): PreparedConvolution {
  const { x, windows } = sum;
  const elements = elementsOf(windows);
  const groups = groupsOf(sum);
  const parts = groups.map((group) => packed(group, elements, memory, kernels));
  const totals = parts.flatMap((part) => part.totals);
  const bounds = sumBounds(sum, totals);
  const kernel = convolutionKernel(parts, sum.weights, kernels);
  const bias = withCentre(bounds.bias, (k) => (totals[k] as WeightTotals).sum, kernel.centre);
  const { multiple } = kernel;
  const positions = Math.ceil((resultRows(windows) * windows.columns.outputSize) / multiple) * multiple;
  const calls = groups.map(({ channels, firstChannel, outputs, firstOutput }, g) => {
    const { address, blocks, steps } = parts[g] as Packed;
    // As `pack` has it: where channels are odd, every second element begins a byte early.
    const offsets = elementOffsets(x.storage, windows).flatMap((offset, element) =>
      Array.from(
        { length: steps / elements },
        (_, chunk) => offset + chunk * STEP - ((element * channels) % 2),
      ),
    );
    const from = putWindows(memory, kernels, x.storage, windows, multiple, firstChannel);
    const parameters = putParameters(memory, bias, sum.multiplier, firstOutput, outputs, OUTPUTS);
    const list = memory.put(Uint32Array.from(offsets));
    return (to: number, target: number, size: number) =>
      kernel.run(from, to, positions, address, parameters, blocks, list, steps, target, size);
  });
  // What a run holds is held as long as the network, and groups hold the weights.
  const firstOutputs = groups.map(({ firstOutput }) => firstOutput);
  return {
    isNear: bounds.isNear,
    into: (places, target, size) => {
      const lists = firstOutputs.map((firstOutput) => places(multiple, firstOutput));
      return () => {
        for (let g = 0; g < calls.length; g++) calls[g]?.(lists[g] as number, target, size);
      };
    },
  };
}

interface Group {
  /** [outputs, channels, elements] */
  readonly weights: Int8Array;
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
  const dense = new Int8Array(K * C * elements);
  for (let k = 0; k < K; k++) {
    const from = weights.subarray(k * channels * elements, (k + 1) * channels * elements);
    dense.set(from, (k * C + Math.floor(k / perGroup) * channels) * elements);
  }
  return [{ weights: dense, channels: C, firstChannel: 0, outputs: K, firstOutput: 0 }];
}

interface Packed extends PackedWeights {
  readonly totals: readonly WeightTotals[];
}

function packed(
  { weights, channels, outputs }: Group,
  elements: number,
  memory: EngineMemory,
  kernels: Kernels,
): Packed {
  const chunks = Math.ceil(channels / STEP);
  const steps = elements * chunks;
  const blocks = Math.ceil(outputs / OUTPUTS);
  const address = memory.reserve(blocks * steps * OUTPUTS * STEP);
  const perOutput = channels * elements;
  // As many outputs at a time as memory has room for anyway.
  const room = Math.floor(memory.scratchRoom / (perOutput + 8) / OUTPUTS) * OUTPUTS;
  const many = Math.max(OUTPUTS, Math.min(blocks * OUTPUTS, room));
  const sums = memory.scratch(many * (perOutput + 8));
  const from = sums + many * 8;
  const totals: WeightTotals[] = [];
  let bits = 0;
  for (let first = 0; first < outputs; first += many) {
    const count = Math.min(many, outputs - first);
    new Int8Array(memory.memory.buffer, from).set(
      weights.subarray(first * perOutput, (first + count) * perOutput),
    );
    const to = address + first * steps * STEP;
    bits |= kernels.pack(from, to, count, channels, elements, chunks, sums);
    const stored = new Int32Array(memory.memory.buffer, sums, count * 2);
    for (let k = 0; k < count; k++) {
      totals.push({ sum: stored[2 * k] as number, absolute: stored[2 * k + 1] as number });
    }
  }
  return { address, blocks, steps, bits, totals };
}

/** Blocks of int32 biases and float32 multipliers; what fills the last block up is 0. */
export function putParameters(
  memory: EngineMemory,
  bias: Int32Array,
  multiplier: Float32Array,
  first: number,
  count: number,
  block: number,
): number {
  const address = memory.reserve(Math.ceil(count / block) * block * 8);
  const { buffer } = memory.memory;
  const integers = new Int32Array(buffer, address);
  const floats = new Float32Array(buffer, address);
  for (let k = 0; k < count; k++) {
    const at = 2 * k - (k % block);
    integers[at] = bias[first + k] as number;
    floats[at + block] = multiplier[first + k] as number;
  }
  return address;
}
