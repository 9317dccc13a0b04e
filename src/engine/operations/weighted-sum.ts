// Conv, Gemm and MatMul of bytes with constant integers: `requantize(sum (q_x - z_x) w + bias, m)`, or float32.

import { float32 } from "../../base/tensor.js";
import { around } from "../../compute/shapes.js";
import type { Value } from "../../graph/graph.js";
import type { Bytes, Storage } from "../bytes.js";
import { addressOf, newBytes, pitchOf } from "../bytes.js";
import type { EngineMemory } from "../memory.js";
import type { Kernels } from "../module.js";
import { type Places, preparedConvolution } from "./convolution.js";
import { CHANNELS, preparedDepthwise } from "./depthwise.js";
import type { Limits, Operation } from "./operation.js";
import { listAddresses, type Windows, widenFor } from "./positions.js";

/** The sums of one node. */
export interface WeightedSum {
  readonly where: string;
  readonly x: Bytes;
  readonly zeroX: number;
  readonly windows: Windows;
  readonly group: number;
  /** [K, C / group, R, S] */
  readonly weights: Int8Array;
  readonly bias: Int32Array;
  readonly multiplier: Float32Array;
}

/** Bytes. Its preparation throws QdgError `unsupported-op` for sums that may leave int32. */
export function weightedSum(sum: WeightedSum, y: Bytes, limits: Limits): Operation {
  widenFor(sum.x, sum.windows, sum.zeroX);
  const isByChannel = isDepthwise(sum);
  if (isByChannel) {
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
      const depthwise = isByChannel ? preparedDepthwise(sum, y, target, memory, kernels) : null;
      if (depthwise) return depthwise;
      const convolution = preparedConvolution(sum, memory, kernels);
      const { storage } = y;
      if (!convolution.isNear) {
        const reals = realImage(storage, memory, kernels);
        const run = convolution.into(reals.places, 0, 4);
        const call = roundingCall(storage, reals.address, target);
        return () => {
          run();
          kernels.quantize(...call);
        };
      }
      const { H, W, step } = storage;
      const places: Places = (multiple, offset) =>
        listAddresses(memory, kernels, {
          rows: H,
          columns: W,
          first: addressOf(storage, 0, 0) + offset,
          pitch: pitchOf(storage),
          step,
          multiple,
        });
      return convolution.into(places, target, 1);
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
  widenFor(sum.x, sum.windows, sum.zeroX);
  // Where the elements of the result are, as if it were bytes.
  const y = newBytes(value.name, shape, channelAxis);
  return {
    where: sum.where,
    reads: [sum.x],
    writes: null,
    prepare: (memory, kernels) => {
      const reals = realImage(y.storage, memory, kernels);
      const run = preparedConvolution(sum, memory, kernels).into(reals.places, 0, 4);
      const inFileOrder = fileOrder(y, reals.address, memory, kernels);
      return (tensors) => {
        run();
        tensors.set(value, float32(shape, inFileOrder()));
      };
    },
  };
}

/** Memory for the sums of an image as float32, and where those of each position are. */
function realImage(
  { H, W, step }: Storage,
  memory: EngineMemory,
  kernels: Kernels,
): { readonly address: number; readonly places: Places } {
  const address = memory.reserve(H * W * step * 4);
  const places: Places = (multiple, offset) =>
    listAddresses(memory, kernels, {
      rows: 1,
      columns: H * W,
      first: address + offset * 4,
      pitch: 0,
      step: step * 4,
      multiple,
    });
  return { address, places };
}

/** Rounds an image of float32 to bytes. */
function roundingCall(storage: Storage, reals: number, target: number): Parameters<Kernels["quantize"]> {
  const { H, W, C, step } = storage;
  const to = addressOf(storage, 0, 0);
  return [reals, to, H, W, C, W * step * 4, step * 4, 4, pitchOf(storage), step, 1, target];
}

/** Copies elements of an image of float32 to the order of the file. */
function fileOrder(
  { shape, channelAxis, storage }: Bytes,
  address: number,
  memory: EngineMemory,
  kernels: Kernels,
): () => Float32Array {
  const { step } = storage;
  const [outer, C, inner] = around(shape, channelAxis);
  const size = outer * C * inner;
  const reals = (at: number, length: number): Float32Array =>
    new Float32Array(memory.memory.buffer, at, length);
  if (inner === 1) {
    return () => {
      const data = new Float32Array(size);
      const stored = reals(address, outer * step);
      for (let o = 0; o < outer; o++) data.set(stored.subarray(o * step, o * step + C), o * C);
      return data;
    };
  }
  const channels = Math.ceil(C / 4) * 4;
  const planes = memory.reserve(channels * inner * 4);
  return () => {
    const data = new Float32Array(size);
    for (let o = 0; o < outer; o++) {
      kernels.planes(address + o * inner * step * 4, planes, inner, channels, step);
      data.set(reals(planes, C * inner), o * C * inner);
    }
    return data;
  };
}

function isDepthwise({ x, group, weights, bias, windows }: WeightedSum): boolean {
  const elements = windows.rows.kernel * windows.columns.kernel;
  return group > 1 && group === x.storage.C && bias.length === group && weights.length === group * elements;
}
