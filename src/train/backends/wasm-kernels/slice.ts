// A part of a tensor. tfjs's own kernel copies the whole tensor out of the heap first, and splits it likewise.

import * as tf from "@tensorflow/tfjs";
import { copyRows } from "./copy-rows.js";
import { allocate, type WasmKernel, type WasmBackend } from "./heap.js";

/** attributes begin and size (-1: to the end). bool and string: tfjs's kernel. */
export const slice: WasmKernel = {
  name: "Slice",
  compute({ inputs, attrs, backend, stock }) {
    const x = inputs["x"] as tf.Tensor;
    if (x.dtype !== "float32" && x.dtype !== "int32") return stock();
    const [begin, size] = tf.slice_util.parseSliceParams(
      x,
      attrs["begin"] as number | number[],
      attrs["size"] as number | number[],
    ) as [number[], number[]];
    tf.slice_util.assertParamsValid(x, begin, size);
    return part(backend, x, begin, size);
  },
};

/** attributes numOrSizeSplits and axis. bool and string: tfjs's kernel. */
export const split: WasmKernel = {
  name: "SplitV",
  compute({ inputs, attrs, backend, stock }) {
    const x = inputs["x"] as tf.Tensor;
    if (x.dtype !== "float32" && x.dtype !== "int32") return stock();
    const axis = tf.util.parseAxisParam(attrs["axis"] as number, x.shape)[0] as number;
    const sizes = tf.backend_util.prepareSplitSize(x, attrs["numOrSizeSplits"] as number | number[], axis);
    const begin = x.shape.map(() => 0);
    return sizes.map((length) => {
      const size = x.shape.with(axis, length);
      const out = part(backend, x, begin, size);
      begin[axis] = (begin[axis] as number) + length;
      return out;
    });
  },
};

function part(
  backend: WasmBackend,
  x: tf.Tensor,
  begin: readonly number[],
  size: readonly number[],
): tf.Tensor {
  const out = allocate(backend, size, x.dtype as "float32" | "int32");
  if (out.size === 0) return out;
  // Axes from `inner` on are taken whole: with the axis before them they are one run.
  let inner = x.rank;
  while (inner > 0 && size[inner - 1] === x.shape[inner - 1]) inner--;
  const axis = Math.max(0, inner - 1);
  const strides = x.shape.map((_, i) => tf.util.sizeFromShape(x.shape.slice(i + 1)));
  const length = tf.util.sizeFromShape(size.slice(axis));
  // The innermost axis outside the run is one regular row of runs; those outside it are stepped through.
  const rowAxis = axis - 1;
  const count = rowAxis < 0 ? 1 : (size[rowAxis] as number);
  const step = rowAxis < 0 ? 0 : (strides[rowAxis] as number);
  const outer = size.slice(0, Math.max(0, rowAxis));
  const rounds = tf.util.sizeFromShape([...outer]);
  for (let round = 0; round < rounds; round++) {
    let start = begin.reduce((sum, first, i) => sum + first * (strides[i] as number), 0);
    let rest = round;
    for (let i = outer.length - 1; i >= 0; i--) {
      const extent = outer[i] as number;
      start += (rest % extent) * (strides[i] as number);
      rest = Math.floor(rest / extent);
    }
    const into = { start: round * count * length, step: length };
    copyRows(backend, x, { start, step }, out, into, count, length);
  }
  return out;
}
