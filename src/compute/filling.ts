// Operators whose results are larger than their inputs: padded, repeated, or filled with one number. All element types.

import type { Tensor } from "../base/tensor.js";
import { int64, sizeOf, tensor } from "../base/tensor.js";
import { intAttribute } from "../graph/graph.js";
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
import { pick } from "./movement.js";
import { around, broadcastIndex, broadcastShape, stridesOf, walk } from "./shapes.js";

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
