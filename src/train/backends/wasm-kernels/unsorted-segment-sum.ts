// Sums of rows by segment: the gradient of gather. tfjs's WebAssembly backend has no such kernel.

import type * as tf from "@tensorflow/tfjs";
import { allocate, type WasmKernel } from "./heap.js";

/**
 * `out[segmentIds[i]] += x[i]` over the first axis; rows of a negative id are left out (as TensorFlow does).
 *
 * x [P,...], segmentIds int32 [P], attribute numSegments -> [numSegments,...]
 * @throws Error when an id is not below numSegments
 */
export const unsortedSegmentSum: WasmKernel = {
  name: "UnsortedSegmentSum",
  compute({ inputs, attrs, backend }) {
    const x = inputs["x"] as tf.Tensor;
    const ids = inputs["segmentIds"] as tf.Tensor;
    const count = attrs["numSegments"] as number;
    const sums = allocate(backend, [count, ...x.shape.slice(ids.rank)], x.dtype as "float32" | "int32");
    const from = backend.typedArrayFromHeap(x);
    const segments = backend.typedArrayFromHeap(ids);
    const into = backend.typedArrayFromHeap(sums).fill(0);
    const size = segments.length === 0 ? 0 : x.size / segments.length;
    segments.forEach((segment: number, row: number) => {
      if (segment >= count) throw new Error(`segment ${segment} of ${count}`);
      if (segment < 0) return;
      for (let i = 0; i < size; i++) {
        const target = segment * size + i;
        into[target] = (into[target] as number) + (from[row * size + i] as number);
      }
    });
    return sums;
  },
};
