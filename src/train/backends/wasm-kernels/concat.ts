// Tensors one after the other along an axis. tfjs's own kernel copies every input out of the heap first.

import * as tf from "@tensorflow/tfjs";
import { copyRows } from "./copy-rows.js";
import { allocate, type WasmKernel } from "./heap.js";

/** inputs 0, 1, ... of one type, equal but for the axis; attribute axis. bool and string: tfjs's kernel. */
export const concat: WasmKernel = {
  name: "Concat",
  compute({ inputs, attrs, backend, stock }) {
    const parts = Object.values(inputs);
    const first = parts[0];
    if (!first || (first.dtype !== "float32" && first.dtype !== "int32")) return stock();
    if (parts.some((part) => part.dtype !== first.dtype)) return stock();
    const axis = tf.util.parseAxisParam(attrs["axis"] as number, first.shape)[0] as number;
    tf.backend_util.assertParamsConsistent(
      parts.map((part) => part.shape),
      axis,
    );
    const shape = [...first.shape];
    shape[axis] = parts.reduce((sum, part) => sum + (part.shape[axis] as number), 0);
    const out = allocate(backend, shape, first.dtype);
    const count = tf.util.sizeFromShape(shape.slice(0, axis));
    const step = tf.util.sizeFromShape(shape.slice(axis));
    let start = 0;
    for (const part of parts) {
      const length = tf.util.sizeFromShape(part.shape.slice(axis));
      copyRows(backend, part, { start: 0, step: length }, out, { start, step }, count, length);
      start += length;
    }
    return out;
  },
};
