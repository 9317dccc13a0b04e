// Operators about places in a tensor: reading and writing at given ones, running sums, blocks, ranges, sums by letters.

import type { Tensor } from "../base/tensor.js";
import { int64, sizeOf, transpose } from "../base/tensor.js";
import { intAttribute, stringAttribute, floatAttribute } from "../graph/graph.js";
import type { Call, Kernel } from "./kernel.js";
import {
  axisOf,
  float32At,
  inputAt,
  intsAt,
  invalid,
  isBig,
  newTensor,
  numbersAt,
  unsupported,
} from "./kernel.js";
import { around, stridesOf, walk } from "./shapes.js";

/** Where the part of x starts that each row of indices names, and how large such a part is. */
function partsOf(
  call: Call,
  x: Tensor,
  indices: Tensor,
): { readonly starts: number[]; readonly size: number } {
  const depth = indices.shape.at(-1) ?? 0;
  if (depth > x.shape.length) throw invalid(call, `indices of ${depth} axes into ${x.shape.length}`);
  const strides = stridesOf(x.shape);
  const list = intsAt(call, 1);
  const starts = Array.from({ length: depth === 0 ? 0 : list.length / depth }, (_, row) => {
    let start = 0;
    for (let axis = 0; axis < depth; axis++) {
      const dim = x.shape[axis] as number;
      const at = list[row * depth + axis] as number;
      if (at < -dim || at >= dim) throw invalid(call, `index ${at} of an axis of ${dim}`);
      start += (at < 0 ? at + dim : at) * (strides[axis] as number);
    }
    return start;
  });
  return { starts, size: sizeOf(x.shape.slice(depth)) };
}

/** The parts that rows of indices name (ONNX GatherND). */
export const gatherNd: Kernel = (call) => {
  if (intAttribute(call.node, "batch_dims", 0) !== 0) throw unsupported(call, "batch_dims");
  const x = inputAt(call, 0);
  const indices = inputAt(call, 1);
  const { starts, size } = partsOf(call, x, indices);
  const shape = [...indices.shape.slice(0, -1), ...x.shape.slice(indices.shape.at(-1) ?? 0)];
  const y = newTensor(call, x.dtype, shape) as Tensor;
  starts.forEach((start, row) => {
    for (let i = 0; i < size; i++) y.data[row * size + i] = x.data[start + i] as never;
  });
  return [y];
};

/** `y[p] = x[p with index[p] along the axis]` (ONNX GatherElements). */
export const gatherElements: Kernel = (call) => {
  const x = inputAt(call, 0);
  const { shape } = inputAt(call, 1);
  const axis = axisOf(call, intAttribute(call.node, "axis", 0), x.shape.length);
  const size = x.shape[axis] as number;
  const fits = shape.every((dim, at) => at === axis || dim <= (x.shape[at] as number));
  if (shape.length !== x.shape.length || !fits)
    throw invalid(call, `indices [${shape.join()}] into [${x.shape.join()}]`);
  const strides = stridesOf(x.shape);
  const starts = walk(shape, strides.with(axis, 0), 0);
  const y = newTensor(call, x.dtype, shape) as Tensor;
  for (const [i, at] of intsAt(call, 1).entries()) {
    if (at < -size || at >= size) throw invalid(call, `index ${at} of an axis of ${size}`);
    y.data[i] = x.data[
      (starts[i] as number) + (at < 0 ? at + size : at) * (strides[axis] as number)
    ] as never;
  }
  return [y];
};

/** A copy of x with updates at the parts that rows of indices name: in place of them, or added (ONNX ScatterND). */
export const scatterNd: Kernel = (call) => {
  const reduction = stringAttribute(call.node, "reduction", "none");
  if (reduction !== "none" && reduction !== "add") throw unsupported(call, `reduction "${reduction}"`);
  const x = inputAt(call, 0);
  const updates = inputAt(call, 2);
  if (reduction === "add" && isBig(x)) throw unsupported(call, `sums of ${x.dtype}`);
  const { starts, size } = partsOf(call, x, inputAt(call, 1));
  if (updates.data.length !== starts.length * size) throw invalid(call, "updates do not go with the indices");
  const y = newTensor(call, x.dtype, x.shape) as Tensor;
  y.data.set(x.data as never);
  starts.forEach((start, row) => {
    for (let i = 0; i < size; i++) {
      const update = updates.data[row * size + i] as number;
      y.data[start + i] = (reduction === "add" ? (y.data[start + i] as number) + update : update) as never;
    }
  });
  return [y];
};

/** `y[i] = sum over j <= i of x[j]` along an axis; exclusive: `j < i`; reverse: from the end (ONNX CumSum). */
export const cumSum: Kernel = (call) => {
  const x = inputAt(call, 0);
  const data = numbersAt(call, 0);
  const axis = axisOf(call, intsAt(call, 1)[0] ?? 0, x.shape.length);
  const exclusive = intAttribute(call.node, "exclusive", 0) === 1;
  const reverse = intAttribute(call.node, "reverse", 0) === 1;
  const [outer, size, inner] = around(x.shape, axis);
  const y = newTensor(call, x.dtype, x.shape) as Tensor;
  for (let o = 0; o < outer; o++) {
    for (let e = 0; e < inner; e++) {
      let sum = 0;
      for (let k = 0; k < size; k++) {
        const at = (o * size + (reverse ? size - 1 - k : k)) * inner + e;
        const next = sum + (data[at] as number);
        y.data[at] = (exclusive ? sum : next) as never;
        sum = next;
      }
    }
  }
  return [y];
};

/** `start, start + delta, ...` up to limit (ONNX Range). */
export const range: Kernel = (call) => {
  const { dtype } = inputAt(call, 0);
  if (dtype === "int64") {
    const [start, limit, delta] = [0, 1, 2].map(
      (i) => intsAt({ ...call, inputs: [listOf(call, i)] }, 0)[0] as number,
    );
    return [int64(...counted(call, start as number, limit as number, delta as number))];
  }
  const [start, limit, delta] = [0, 1, 2].map((i) => Number(numbersAt(call, i)[0])) as [
    number,
    number,
    number,
  ];
  const [shape, numbers] = counted(call, start, limit, delta);
  const y = newTensor(call, dtype, shape) as Tensor;
  numbers.forEach((number, i) => (y.data[i] = number as never));
  return [y];
};

function listOf(call: Call, index: number): Tensor {
  return { ...inputAt(call, index), shape: [1] };
}

function counted(call: Call, start: number, limit: number, delta: number): [number[], number[]] {
  if (delta === 0) throw invalid(call, "delta 0");
  const shape = [Math.max(0, Math.ceil((limit - start) / delta))];
  newTensor(call, "bool", shape);
  return [shape, Array.from({ length: shape[0] as number }, (_, i) => start + i * delta)];
}

export const sizeOperator: Kernel = (call) => [int64([], [inputAt(call, 0).data.length])];

/** Blocks of channels become blocks of space (ONNX DepthToSpace): [N, b, b, C, H, W] or [N, C, b, b, H, W] of channels. */
export const depthToSpace: Kernel = (call) => {
  const x = inputAt(call, 0);
  const block = intAttribute(call.node, "blocksize", 0);
  const [n = 0, channels = 0, h = 0, w = 0] = x.shape;
  const depth = channels / block ** 2;
  if (x.shape.length !== 4 || !Number.isInteger(depth)) throw invalid(call, `blocks of ${block}`);
  const byColumn = stringAttribute(call.node, "mode", "DCR") === "CRD";
  const split = byColumn ? [n, depth, block, block, h, w] : [n, block, block, depth, h, w];
  const order = byColumn ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2];
  const moved = transpose({ ...x, shape: split }, order);
  return [{ ...moved, shape: [n, depth, h * block, w * block] }];
};

/** `y = x / (bias + alpha / size * sum of x^2 over the channels around) ^ beta` (ONNX LRN). */
export const localResponse: Kernel = (call) => {
  const x = float32At(call, 0);
  const { shape } = inputAt(call, 0);
  const size = intAttribute(call.node, "size", 1);
  const [alpha, beta, bias] = [
    floatAttribute(call.node, "alpha", 1e-4),
    floatAttribute(call.node, "beta", 0.75),
    floatAttribute(call.node, "bias", 1),
  ];
  const [outer, channels, inner] = around(shape, 1);
  const y = newTensor(call, "float32", shape);
  const [below, above] = [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)];
  for (let o = 0; o < outer; o++) {
    for (let c = 0; c < channels; c++) {
      for (let e = 0; e < inner; e++) {
        let sum = 0;
        for (let k = Math.max(0, c - below); k <= Math.min(channels - 1, c + above); k++) {
          sum += (x[(o * channels + k) * inner + e] as number) ** 2;
        }
        const at = (o * channels + c) * inner + e;
        y.data[at] = (x[at] as number) / (bias + (alpha / size) * sum) ** beta;
      }
    }
  }
  return [y];
};

/** The sum of products over the letters that the result lacks, as numpy has it (ONNX Einsum); sums in float64. */
export const einsum: Kernel = (call) => {
  const equation = stringAttribute(call.node, "equation", "").replaceAll(/\s/g, "");
  const [left = "", right] = equation.split("->");
  const terms = left.split(",");
  if (right === undefined || terms.length !== call.inputs.length || !/^[a-zA-Z,]*$/.test(left + right)) {
    throw unsupported(call, `equation ${JSON.stringify(equation)}`);
  }
  const sizes = new Map<string, number>();
  const inputs = terms.map((term, i) => {
    const { shape } = inputAt(call, i);
    if (term.length !== shape.length) throw invalid(call, `${term} for [${shape.join(", ")}]`);
    shape.forEach((dim, axis) => {
      const letter = term.charAt(axis);
      if ((sizes.get(letter) ?? dim) !== dim) throw invalid(call, `two sizes of ${letter}`);
      sizes.set(letter, dim);
    });
    return { term, data: float32At(call, i), strides: stridesOf(shape) };
  });
  const outer = right.split("");
  const summed = [...sizes.keys()].filter((letter) => !right.includes(letter));
  const letters = [...outer, ...summed];
  const all = letters.map((letter) => sizes.get(letter) ?? 0);
  const places = inputs.map(({ term, data, strides }) => {
    const steps = letters.map((letter) =>
      strides.reduce((sum, stride, axis) => (term.charAt(axis) === letter ? sum + stride : sum), 0),
    );
    newTensor(call, "bool", all);
    return { data, index: walk(all, steps, 0) };
  });
  const y = newTensor(call, "float32", all.slice(0, outer.length));
  const run = sizeOf(all.slice(outer.length));
  for (let i = 0; i < y.data.length; i++) {
    let sum = 0;
    for (let k = i * run; k < (i + 1) * run; k++) {
      let product = 1;
      for (const { data, index } of places) product *= data[index[k] as number] as number;
      sum += product;
    }
    y.data[i] = sum;
  }
  return [y];
};
