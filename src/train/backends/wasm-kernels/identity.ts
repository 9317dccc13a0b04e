// Copies that need none: tensors never change, so a copy may share its memory. tfjs's own kernels write one out, for
// every clone that its tape makes.

import * as tf from "@tensorflow/tfjs";
import type { WasmBackend, WasmKernel } from "./heap.js";

/** x itself. */
export const identity: WasmKernel = {
  name: "Identity",
  compute: ({ inputs: { x }, backend }) => sharing(backend, x as tf.Tensor),
};

/** x in the type of the attribute dtype; where that changes, tfjs's kernel. */
export const cast: WasmKernel = {
  name: "Cast",
  compute({ inputs: { x }, attrs, backend, stock }) {
    return (x as tf.Tensor).dtype === attrs["dtype"] ? sharing(backend, x as tf.Tensor) : stock();
  },
};

function sharing(backend: WasmBackend, { dataId, shape, dtype }: tf.Tensor): tf.Tensor {
  backend.incRef(dataId);
  return tf.engine().makeTensorFromTensorInfo({ dataId, shape, dtype });
}
