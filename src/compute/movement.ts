// Operators that move, select or repeat elements without changing them. All element types.

import type { Tensor } from "../base/tensor.js";
import { int64, sizeOf, tensor, transpose } from "../base/tensor.js";
import { intAttribute, intsAttribute } from "../graph/graph.js";
import type { Call, Kernel } from "./kernel.js";
import {
  axisOf,
  checkedSize,
  inputAt,
  intsAt,
  invalid,
  newTensor,
  optionalInput,
  optionalInts,
  unsupported,
} from "./kernel.js";
import { around, broadcastIndex, broadcastShape, stridesOf, walk } from "./shapes.js";

/** A tensor of `shape` with the elements of x at `index`. */
function pick(call: Call, x: Tensor, shape: readonly number[], index: Int32Array): Tensor {
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

/** A constant around, or what is inside, mirrored or drawn out; negative pads crop (ONNX Pad). */
export const pad: Kernel = (call) => {
  const x = inputAt(call, 0);
  const mode = call.node.attributes["mode"] ?? "constant";
  if (mode === "reflect" || mode === "edge") return [drawnOut(call, x, mode)];
  if (mode !== "constant") throw unsupported(call, `mode ${JSON.stringify(mode)}`);
  const pads = intsAt(call, 1);
  const rank = x.shape.length;
  const axes = optionalInts(call, 3)?.map((axis) => axisOf(call, axis, rank)) ?? x.shape.map((_, a) => a);
  if (pads.length !== 2 * axes.length) {
    throw invalid(call, `got ${pads.length} pads, expected ${2 * axes.length}`);
  }
  const before = x.shape.map(() => 0);
  const shape = [...x.shape];
  axes.forEach((axis, i) => {
    before[axis] = pads[i] as number;
    shape[axis] = (shape[axis] as number) + (pads[i] as number) + (pads[i + axes.length] as number);
  });
  const value = optionalInput(call, 2)?.data[0] ?? (x.dtype === "int64" || x.dtype === "uint64" ? 0n : 0);
  const y = newTensor(call, x.dtype, shape) as Tensor;
  y.data.fill(value as never);
  // What of the input is inside the output: a box, copied from its corner in the one to its corner in the other.
  const skipped = before.map((size) => Math.max(0, -size));
  const box = shape.map((dim, axis) => {
    const start = Math.max(0, before[axis] as number);
    const end = Math.min(dim, (before[axis] as number) + (x.shape[axis] as number));
    return Math.max(0, end - start);
  });
  const ownStrides = stridesOf(x.shape);
  const strides = stridesOf(shape);
  const from = walk(box, ownStrides, corner(ownStrides, skipped));
  const to = walk(
    box,
    strides,
    corner(
      strides,
      before.map((size) => Math.max(0, size)),
    ),
  );
  for (let i = 0; i < from.length; i++) y.data[to[i] as number] = x.data[from[i] as number] as never;
  return [y];
};

/** Along each axis the elements inside again: the last one alone, or all but that one in the opposite order. */
function drawnOut(call: Call, x: Tensor, mode: "reflect" | "edge"): Tensor {
  const pads = intsAt(call, 1);
  const rank = x.shape.length;
  if (optionalInput(call, 3) || pads.length !== 2 * rank || pads.some((size) => size < 0)) {
    throw unsupported(call, `pads of some axes, or negative ones, with mode ${mode}`);
  }
  let y = x;
  x.shape.forEach((dim, axis) => {
    const [before, after] = [pads[axis] as number, pads[axis + rank] as number];
    if (before + after === 0) return;
    if (mode === "reflect" && Math.max(before, after) >= dim) throw invalid(call, `reflects ${dim} elements`);
    const shape = y.shape.with(axis, before + dim + after);
    checkedSize(call, shape);
    const [outer, , inner] = around(y.shape, axis);
    const index = new Int32Array(sizeOf(shape));
    for (let i = 0; i < before + dim + after; i++) {
      const at = i - before;
      const clamped = Math.min(Math.max(at, 0), dim - 1);
      const from = mode === "edge" ? clamped : 2 * clamped - at;
      for (let o = 0; o < outer; o++) {
        for (let e = 0; e < inner; e++) {
          index[(o * (before + dim + after) + i) * inner + e] = (o * dim + from) * inner + e;
        }
      }
    }
    y = pick(call, y, shape, index);
  });
  return y;
}

/** Where the element at a position lies. */
function corner(strides: readonly number[], position: readonly number[]): number {
  return strides.reduce((sum, stride, axis) => sum + stride * (position[axis] as number), 0);
}

export const expand: Kernel = (call) => {
  const x = inputAt(call, 0);
  const shape = broadcastShape([x.shape, intsAt(call, 1)]);
  if (!shape) throw invalid(call, `[${x.shape.join(", ")}] to [${intsAt(call, 1).join(", ")}]`);
  checkedSize(call, shape);
  return [pick(call, x, shape, broadcastIndex(x.shape, shape))];
};

export const tile: Kernel = (call) => {
  let x = inputAt(call, 0);
  const repeats = intsAt(call, 1);
  if (repeats.length !== x.shape.length) throw invalid(call, `${repeats.length} repeats`);
  repeats.forEach((times, axis) => {
    const [outer, size, inner] = around(x.shape, axis);
    const y = newTensor(call, x.dtype, x.shape.with(axis, size * times)) as Tensor;
    const run = size * inner;
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < run * times; i++) {
        y.data[o * run * times + i] = x.data[o * run + (i % run)] as never;
      }
    }
    x = y;
  });
  return [x];
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

/** `y[..., d, ...] = d == index ? on : off`, `values = [off, on]`; an index outside -depth..depth-1 is off everywhere. */
export const oneHot: Kernel = (call) => {
  const { shape } = inputAt(call, 0);
  const values = inputAt(call, 2);
  const [depth = 0] = intsAt(call, 1);
  const axis = axisOf(call, intAttribute(call.node, "axis", -1), shape.length + 1);
  const inner = sizeOf(shape.slice(axis));
  const y = newTensor(call, values.dtype, [...shape.slice(0, axis), depth, ...shape.slice(axis)]) as Tensor;
  const [off, on] = values.data;
  y.data.fill(off as never);
  intsAt(call, 0).forEach((index, i) => {
    const at = index < 0 ? index + depth : index;
    if (at < 0 || at >= depth) return;
    y.data[(Math.floor(i / inner) * depth + at) * inner + (i % inner)] = on as never;
  });
  return [y];
};

export const shapeOf: Kernel = (call) => {
  const { shape } = inputAt(call, 0);
  const start = intAttribute(call.node, "start", 0);
  const end = intAttribute(call.node, "end", shape.length);
  const dims = shape.slice(start, end);
  return [int64([dims.length], dims)];
};

export const constantOfShape: Kernel = (call) => {
  const value = call.node.attributes["value"] ?? tensor("float32", [1], new Float32Array(1));
  if (typeof value !== "object" || !("dtype" in value)) throw invalid(call, "attribute value is no tensor");
  const y = newTensor(call, value.dtype, intsAt(call, 0)) as Tensor;
  y.data.fill(value.data[0] as never);
  return [y];
};

export const constant: Kernel = (call) => {
  const value = call.node.attributes["value"];
  if (typeof value !== "object" || !("dtype" in value)) throw unsupported(call, "Constant without a tensor");
  return [value];
};
