// Operators that move, select or repeat elements without changing them. All element types.

import type { Tensor } from "../base/tensor.js";
import { sizeOf, transpose } from "../base/tensor.js";
import { intAttribute, intsAttribute } from "../graph/graph.js";
import type { Call, Kernel } from "./kernel.js";
import { axisOf, inputAt, intsAt, invalid, newTensor, optionalInts } from "./kernel.js";
import { around, stridesOf, walk } from "./shapes.js";

/** A tensor of `shape` with the elements of x at `index`. */
export function pick(call: Call, x: Tensor, shape: readonly number[], index: Int32Array): Tensor {
  const y = newTensor(call, x.dtype, shape) as Tensor;
  for (let i = 0; i < index.length; i++) y.data[i] = x.data[index[i] as number] as never;
  return y;
}

function reshaped(call: Call, x: Tensor, shape: readonly number[]): Tensor {
  // The size that -1 stands for may have come out as no whole number.
  if (sizeOf(shape) !== x.data.length || !shape.every((dim) => Number.isInteger(dim))) {
    throw invalid(call, `cannot reshape [${x.shape.join(", ")}] to [${shape.join(", ")}]`);
  }
  return { ...x, shape };
}

export const identity: Kernel = (call) => [inputAt(call, 0)];

/** 0 keeps the input's size unless `allowzero`, one -1 is worked out (ONNX Reshape). */
export const reshape: Kernel = (call) => {
  const x = inputAt(call, 0);
  const keepZero = intAttribute(call.node, "allowzero", 0) === 0;
  const wanted = intsAt(call, 1).map((dim, axis) => {
    if (dim !== 0 || !keepZero) return dim;
    const own = x.shape[axis];
    if (own === undefined) throw invalid(call, `shape has 0 at axis ${axis}, which the input lacks`);
    return own;
  });
  const open = wanted.indexOf(-1);
  if (wanted.some((dim, axis) => dim < -1 || (dim === -1 && axis !== open))) {
    throw invalid(call, `shape [${wanted.join(", ")}]`);
  }
  if (open < 0) return [reshaped(call, x, wanted)];
  const known = sizeOf(wanted.filter((_, axis) => axis !== open));
  return [reshaped(call, x, wanted.with(open, known === 0 ? 0 : x.data.length / known))];
};

export const flatten: Kernel = (call) => {
  const x = inputAt(call, 0);
  const axis = intAttribute(call.node, "axis", 1);
  const at = axis === x.shape.length ? axis : axisOf(call, axis, x.shape.length);
  return [reshaped(call, x, [sizeOf(x.shape.slice(0, at)), sizeOf(x.shape.slice(at))])];
};

export const squeeze: Kernel = (call) => {
  const x = inputAt(call, 0);
  const axes = optionalInts(call, 1)?.map((axis) => axisOf(call, axis, x.shape.length));
  const shape = x.shape.filter((dim, axis) => !(axes ? axes.includes(axis) : dim === 1));
  return [reshaped(call, x, shape)];
};

export const unsqueeze: Kernel = (call) => {
  const x = inputAt(call, 0);
  const listed = intsAt(call, 1);
  const rank = x.shape.length + listed.length;
  const axes = new Set(listed.map((axis) => axisOf(call, axis, rank)));
  if (axes.size !== listed.length) throw invalid(call, `axes [${listed.join(", ")}] repeat`);
  const rest = x.shape.values();
  const shape = Array.from({ length: rank }, (_, axis) =>
    axes.has(axis) ? 1 : (rest.next().value as number),
  );
  return [reshaped(call, x, shape)];
};

export const transposeOperator: Kernel = (call) => {
  const x = inputAt(call, 0);
  const permutation = intsAttribute(call.node, "perm") ?? x.shape.map((_, axis) => axis).reverse();
  const sorted = [...permutation].sort((a, b) => a - b);
  if (sorted.length !== x.shape.length || sorted.some((axis, i) => axis !== i)) {
    throw invalid(call, `perm [${permutation.join(", ")}] for rank ${x.shape.length}`);
  }
  return [transpose(x, permutation)];
};

export const concat: Kernel = (call) => {
  const parts = call.inputs.map((_, index) => inputAt(call, index));
  const [first] = parts as [Tensor];
  const axis = axisOf(call, intAttribute(call.node, "axis", 0), first.shape.length);
  for (const part of parts) {
    const fits = part.shape.length === first.shape.length && part.dtype === first.dtype;
    if (!fits || part.shape.some((dim, a) => a !== axis && dim !== first.shape[a])) {
      throw invalid(call, `cannot join ${part.dtype} [${part.shape.join(", ")}] along axis ${axis}`);
    }
  }
  const total = parts.reduce((sum, part) => sum + (part.shape[axis] as number), 0);
  const y = newTensor(call, first.dtype, first.shape.with(axis, total)) as Tensor;
  const [outer] = around(first.shape, axis);
  let to = 0;
  for (let o = 0; o < outer; o++) {
    for (const part of parts) {
      const run = part.data.length / outer;
      for (let i = 0; i < run; i++) y.data[to++] = part.data[o * run + i] as never;
    }
  }
  return [y];
};

export const split: Kernel = (call) => {
  const x = inputAt(call, 0);
  const axis = axisOf(call, intAttribute(call.node, "axis", 0), x.shape.length);
  const size = x.shape[axis] as number;
  const count = call.node.outputs.length;
  const each = Math.ceil(size / count);
  const sizes =
    optionalInts(call, 1) ??
    Array.from({ length: count }, (_, part) => Math.max(0, Math.min(each, size - part * each)));
  if (sizes.length !== count || sizes.reduce((sum, dim) => sum + dim, 0) !== size) {
    throw invalid(call, `parts [${sizes.join(", ")}] of ${size} for ${count} outputs`);
  }
  const strides = stridesOf(x.shape);
  let start = 0;
  return sizes.map((dim) => {
    const shape = x.shape.with(axis, dim);
    const part = pick(call, x, shape, walk(shape, strides, start * (strides[axis] as number)));
    start += dim;
    return part;
  });
};

/** starts, ends, axes and steps are inputs; bounds beyond the end are clamped (ONNX Slice). */
export const slice: Kernel = (call) => {
  const x = inputAt(call, 0);
  const starts = intsAt(call, 1);
  const ends = intsAt(call, 2);
  const axes = optionalInts(call, 3) ?? starts.map((_, i) => i);
  const steps = optionalInts(call, 4) ?? starts.map(() => 1);
  const own = stridesOf(x.shape);
  const shape = [...x.shape];
  const strides = [...own];
  let from = 0;
  axes.forEach((listed, i) => {
    const axis = axisOf(call, listed, x.shape.length);
    const size = x.shape[axis] as number;
    const step = steps[i] as number;
    if (!step) throw invalid(call, `step ${step}`);
    const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
    const bound = (value: number): number => Math.min(Math.max(value < 0 ? value + size : value, low), high);
    const start = Math.max(bound(starts[i] as number), 0);
    shape[axis] = Math.max(0, Math.ceil((bound(ends[i] as number) - start) / step));
    strides[axis] = (own[axis] as number) * step;
    from += start * (own[axis] as number);
  });
  return [pick(call, x, shape, walk(shape, strides, from))];
};

/** Negative indices count from the end. @throws QdgError `invalid-graph` for one outside */
export const gather: Kernel = (call) => {
  const x = inputAt(call, 0);
  const index = inputAt(call, 1);
  const axis = axisOf(call, intAttribute(call.node, "axis", 0), x.shape.length);
  const [outer, size, inner] = around(x.shape, axis);
  const picked = intsAt(call, 1).map((at) => {
    if (at < -size || at >= size) throw invalid(call, `index: got ${at}, expected ${-size}..${size - 1}`);
    return at < 0 ? at + size : at;
  });
  const shape = [...x.shape.slice(0, axis), ...index.shape, ...x.shape.slice(axis + 1)];
  const y = newTensor(call, x.dtype, shape) as Tensor;
  let to = 0;
  for (let o = 0; o < outer; o++) {
    for (const at of picked) {
      const from = (o * size + at) * inner;
      for (let i = 0; i < inner; i++) y.data[to++] = x.data[from + i] as never;
    }
  }
  return [y];
};
