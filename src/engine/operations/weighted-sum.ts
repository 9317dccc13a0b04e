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
import type { Limits, Operation, Run } from "./operation.js";
import { elementsOf, type Grid, listAddresses, resultRows, type Windows, widenFor } from "./positions.js";

/** The sums of one node. */
export interface WeightedSum {
  readonly where: string;
  readonly x: Bytes;
  readonly zeroX: number;
  readonly windows: Windows;
  readonly group: number;
  /** [K, C / group, R, S]. Numbers are let go once the kernels have theirs. */
  weights: Int8Array;
  bias: Int32Array;
  multiplier: Float32Array;
}

/** Sums whose results are rows and columns of an image, every stride-th from a first one on. */
export interface Part {
  readonly sum: WeightedSum;
  readonly rows: Lattice;
  readonly columns: Lattice;
}

interface Lattice {
  readonly first: number;
  readonly stride: number;
}

const ALL: Lattice = { first: 0, stride: 1 };

/** All results of an image from one sum. */
export function undivided(sum: WeightedSum): Part[] {
  return [{ sum, rows: ALL, columns: ALL }];
}

/** Bytes. Its preparation throws QdgError `unsupported-op` for sums that may leave int32. */
export function weightedSum(parts: readonly Part[], y: Bytes, limits: Limits): Operation {
  const { where, x } = widened(parts);
  const isByChannel = parts.every(({ sum }) => isDepthwise(sum));
  if (isByChannel) {
    for (const { storage } of [x, y]) {
      if (storage.C < CHANNELS) storage.step = CHANNELS;
    }
  }
  return {
    where,
    reads: [x],
    writes: y,
    prepare: (memory, kernels) => {
      const { storage } = y;
      const target = memory.putTarget(limits.low, limits.high, limits.zeroPoint);
      const image: Image = { first: addressOf(storage, 0, 0), pitch: pitchOf(storage), step: storage.step };
      const near = parts.map((part): Run | null => {
        const places = placesOf(part, image, 1, memory, kernels);
        const depthwise = isByChannel && preparedDepthwise(part.sum, places, target, memory, kernels);
        if (depthwise) return depthwise;
        const convolution = preparedConvolution(part.sum, memory, kernels);
        return convolution.isNear ? convolution.into(places, target, 1) : null;
      });
      if (near.every((run) => run !== null)) {
        letGo(parts);
        return inTurn(near);
      }
      const reals = realImage(storage, memory);
      const run = inTurn(
        parts.map((part) => {
          const places = placesOf(part, reals, 4, memory, kernels);
          return preparedConvolution(part.sum, memory, kernels).into(places, 0, 4);
        }),
      );
      letGo(parts);
      const call = roundingCall(storage, reals.first, target);
      return (tensors) => {
        run(tensors);
        kernels.quantize(...call);
      };
    },
  };
}

/** `fl(fl(acc) * m[k])` as float32 of that shape. */
export function realSum(
  parts: readonly Part[],
  value: Value,
  shape: readonly number[],
  channelAxis: number,
): Operation {
  const { where, x } = widened(parts);
  // Where the elements of the result are, as if it were bytes.
  const y = newBytes(value.name, shape, channelAxis);
  return {
    where,
    reads: [x],
    writes: null,
    prepare: (memory, kernels) => {
      const reals = realImage(y.storage, memory);
      const run = inTurn(
        parts.map((part) => {
          const places = placesOf(part, reals, 4, memory, kernels);
          return preparedConvolution(part.sum, memory, kernels).into(places, 0, 4);
        }),
      );
      letGo(parts);
      const inFileOrder = fileOrder(y, reals.first, memory, kernels);
      return (tensors) => {
        run(tensors);
        tensors.set(value, float32(shape, inFileOrder()));
      };
    },
  };
}

/** The kernels' own copy is in their memory, and whoever runs an operation holds what it was made from. */
function letGo(parts: readonly Part[]): void {
  for (const { sum } of parts) {
    sum.weights = new Int8Array(0);
    sum.bias = new Int32Array(0);
    sum.multiplier = new Float32Array(0);
  }
}

/** Asks for the borders that all parts reach into; what the parts have in common. */
function widened(parts: readonly Part[]): WeightedSum {
  for (const { sum } of parts) widenFor(sum.x, sum.windows, sum.zeroX);
  return (parts[0] as Part).sum;
}

function inTurn(runs: readonly Run[]): Run {
  const [only] = runs;
  if (only && runs.length === 1) return only;
  return (tensors) => {
    for (const run of runs) run(tensors);
  };
}

/** Where results go: the first, from row to row, and from column to column. */
type Image = Pick<Grid, "pitch" | "step"> & { readonly first: number };

function placesOf(
  { sum, rows, columns }: Part,
  { first, pitch, step }: Image,
  size: number,
  memory: EngineMemory,
  kernels: Kernels,
): Places {
  const { windows } = sum;
  return (multiple, offset) =>
    listAddresses(memory, kernels, {
      rows: resultRows(windows),
      columns: windows.columns.outputSize,
      first: first + rows.first * pitch + columns.first * step + offset * size,
      pitch: rows.stride * pitch,
      step: columns.stride * step,
      multiple,
    });
}

/** Memory for an image as float32. */
function realImage({ H, W, step }: Storage, memory: EngineMemory): Image {
  return { first: memory.reserve(H * W * step * 4), pitch: W * step * 4, step: step * 4 };
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
  const elements = elementsOf(windows);
  return group > 1 && group === x.storage.C && bias.length === group && weights.length === group * elements;
}
