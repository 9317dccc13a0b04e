// A weighted node as a matrix product: rows of weights, one for each output channel, and columns of inputs, one for
// each position of the output. The one place that knows how Conv, ConvTranspose, Gemm and MatMul lay theirs out.

import type { Tensor } from "../../base/tensor.js";
import { expectDType, sizeOf } from "../../base/tensor.js";
import { inputOf, intAttribute, intsAttribute, type Node } from "../../graph/graph.js";

/** `Y[g] = W[g] X[g]`: W[g] is O x K, X[g] is K x positions. */
export interface WeightRows {
  readonly groups: number;
  /** O, of one group */
  readonly outputs: number;
  /** K */
  readonly inputs: number;
  /** Where element k of row o (over all groups) stands in the weight: `rowStart[o] + offsets[k]`. */
  readonly rowStart: Int32Array;
  readonly offsets: Int32Array;
}

/** null for what is no such product: a bias along, say, or auto_pad, which no reader writes. */
export function weightRows(node: Node): WeightRows | null {
  const shape = inputOf(node, 1).constant?.shape ?? [];
  switch (node.op) {
    case "Conv": {
      const groups = intAttribute(node, "group", 1);
      const [filters = 0] = shape;
      const inputs = sizeOf(shape.slice(1));
      return {
        groups,
        outputs: filters / groups,
        inputs,
        rowStart: Int32Array.from({ length: filters }, (_, o) => o * inputs),
        offsets: Int32Array.from({ length: inputs }, (_, k) => k),
      };
    }
    case "ConvTranspose": {
      const groups = intAttribute(node, "group", 1);
      const [channels = 0, outputs = 0] = shape;
      const kernel = sizeOf(shape.slice(2));
      const perGroup = channels / groups;
      return {
        groups,
        outputs,
        inputs: perGroup * kernel,
        rowStart: Int32Array.from(
          { length: groups * outputs },
          (_, o) => (Math.floor(o / outputs) * perGroup * outputs + (o % outputs)) * kernel,
        ),
        offsets: Int32Array.from(
          { length: perGroup * kernel },
          (_, k) => Math.floor(k / kernel) * outputs * kernel + (k % kernel),
        ),
      };
    }
    case "Gemm":
    case "MatMul": {
      if (shape.length !== 2 || intAttribute(node, "transA", 0) !== 0) return null;
      const rowsFirst = node.op === "Gemm" && intAttribute(node, "transB", 0) === 1;
      const [first = 0, second = 0] = shape;
      const [outputs, inputs] = rowsFirst ? [first, second] : [second, first];
      return {
        groups: 1,
        outputs,
        inputs,
        rowStart: Int32Array.from({ length: outputs }, (_, o) => (rowsFirst ? o * inputs : o)),
        offsets: Int32Array.from({ length: inputs }, (_, k) => (rowsFirst ? k : k * outputs)),
      };
    }
    default:
      return null;
  }
}

/** Values at some positions of one sample: `inputs` is [groups, K, count], `outputs` [groups, O, count]. */
export interface Columns {
  readonly count: number;
  readonly inputs: Float32Array;
  readonly outputs: Float32Array;
}

/**
 * @param x what enters the node, `y` what the float network gives, of one sample
 * @param most positions; fewer are spread evenly with the offset `start` in 0..1
 */
export function columnsOf(
  node: Node,
  rows: WeightRows,
  x: Tensor,
  y: Tensor,
  most: number,
  start: number,
): Columns {
  const input = expectDType(x, "float32", node.origin).data;
  const output = expectDType(y, "float32", node.origin).data;
  const { groups, outputs: O, inputs: K } = rows;
  const isMatrix = node.op === "Gemm" || node.op === "MatMul";
  const channels = groups * O;
  const all = output.length / channels;
  const count = Math.min(all, most);
  const positions = Int32Array.from({ length: count }, (_, i) =>
    Math.min(all - 1, Math.floor(((i + (count === all ? 0 : start)) * all) / count)),
  );
  const columns = {
    count,
    inputs: new Float32Array(groups * K * count),
    outputs: new Float32Array(channels * count),
  };
  if (isMatrix) {
    for (let p = 0; p < count; p++) {
      const at = positions[p] as number;
      for (let k = 0; k < K; k++) columns.inputs[k * count + p] = input[at * K + k] as number;
      for (let o = 0; o < O; o++) columns.outputs[o * count + p] = output[at * O + o] as number;
    }
    return columns;
  }
  // [N, channels, plane]: a sample may be a batch of several images.
  const [N = 1] = y.shape;
  const plane = all / N;
  const taps = tapsOf(node, x.shape.slice(2), y.shape.slice(2), positions, plane);
  const kernel = sizeOf(taps.shape);
  const C = (x.shape[1] as number) / groups;
  const inputPlane = sizeOf(x.shape.slice(2));
  for (let c = 0; c < C * groups; c++) {
    for (let tap = 0; tap < kernel; tap++) {
      const to = (c * kernel + tap) * count;
      for (let p = 0; p < count; p++) {
        const from = taps.offsets[tap * count + p] as number;
        if (from < 0) continue;
        const n = Math.floor((positions[p] as number) / plane);
        columns.inputs[to + p] = input[(n * C * groups + c) * inputPlane + from] as number;
      }
    }
  }
  for (let o = 0; o < channels; o++) {
    for (let p = 0; p < count; p++) {
      const position = positions[p] as number;
      const n = Math.floor(position / plane);
      columns.outputs[o * count + p] = output[(n * channels + o) * plane + (position % plane)] as number;
    }
  }
  return columns;
}

interface Taps {
  readonly shape: readonly number[];
  /** [taps, positions]: the element of a channel that a tap reads, -1 for padding. */
  readonly offsets: Int32Array;
}

function tapsOf(
  node: Node,
  sizes: readonly number[],
  outputSizes: readonly number[],
  positions: Int32Array,
  plane: number,
): Taps {
  const shape = (inputOf(node, 1).constant?.shape ?? []).slice(2);
  const rank = shape.length;
  const ones = shape.map(() => 1);
  const strides = intsAttribute(node, "strides") ?? ones;
  const dilations = intsAttribute(node, "dilations") ?? ones;
  const pads = intsAttribute(node, "pads") ?? [...ones, ...ones].map(() => 0);
  const transposed = node.op === "ConvTranspose";
  const count = positions.length;
  const kernel = sizeOf(shape);
  const offsets = new Int32Array(kernel * count);
  const at = new Int32Array(rank);
  const tap = new Int32Array(rank);
  for (let p = 0; p < count; p++) {
    unravel((positions[p] as number) % plane, outputSizes, at);
    for (let t = 0; t < kernel; t++) {
      unravel(t, shape, tap);
      let offset = 0;
      for (let axis = 0; axis < rank && offset >= 0; axis++) {
        const stride = strides[axis] as number;
        const reach = (tap[axis] as number) * (dilations[axis] as number) - (pads[axis] as number);
        const place = at[axis] as number;
        const from = transposed ? (place - reach) / stride : place * stride + reach;
        const size = sizes[axis] as number;
        offset = Number.isInteger(from) && from >= 0 && from < size ? offset * size + from : -1;
      }
      offsets[t * count + p] = offset;
    }
  }
  return { shape, offsets };
}

/** The indices of element `index` of a row-major shape. */
function unravel(index: number, shape: readonly number[], to: Int32Array): void {
  let rest = index;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis] as number;
    to[axis] = rest % size;
    rest = Math.floor(rest / size);
  }
}
