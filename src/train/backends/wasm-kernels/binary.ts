// Arithmetic, comparisons, the larger and the smaller of two float tensors. tfjs's own kernels are vectorized for
// arithmetic of equal shapes alone; the others take ten to twenty times as long, and training makes masks and
// multiplies by one number a channel in every pass.

import * as tf from "@tensorflow/tfjs";
import type { PeriodicName } from "./loops.js";
import { elementwise } from "./elementwise.js";
import type { WasmKernel } from "./heap.js";

/** Of float32 tensors, one whole, the other alike, a scalar or a vector along the last axes; else tfjs's kernel. */
export const binaryKernels: readonly WasmKernel[] = [
  binary("Add", "add", "add"),
  binary("Sub", "sub", "subFrom"),
  binary("Multiply", "mul", "mul"),
  binary("RealDiv", "div", "divInto"),
  extreme("Maximum", "max"),
  extreme("Minimum", "min"),
  binary("Equal", "equal", "equal", "bool"),
  binary("NotEqual", "notEqual", "notEqual", "bool"),
  binary("Less", "less", "greater", "bool"),
  binary("LessEqual", "lessEqual", "greaterEqual", "bool"),
  binary("Greater", "greater", "less", "bool"),
  binary("GreaterEqual", "greaterEqual", "lessEqual", "bool"),
];

function binary(
  name: string,
  loop: PeriodicName,
  mirrored: PeriodicName,
  dtype: "float32" | "bool" = "float32",
): WasmKernel {
  return {
    name,
    compute: ({ inputs: { a, b }, backend, stock }) =>
      elementwise(backend, a, b, loop, mirrored, dtype) ?? stock(),
  };
}

/** tfjs's kernels lose a second operand that is not a number, so the rare broadcasts are written out. */
function extreme(name: string, loop: "max" | "min"): WasmKernel {
  return {
    name,
    compute({ inputs, backend, stock }) {
      const { a, b } = inputs as { a: tf.Tensor; b: tf.Tensor };
      const direct = elementwise(backend, a, b, loop, loop, "float32");
      if (direct || a.dtype !== "float32" || b.dtype !== "float32") return direct ?? stock();
      const ones = tf.ones(tf.broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape));
      return elementwise(backend, tf.mul(a, ones), tf.mul(b, ones), loop, loop, "float32") ?? stock();
    },
  };
}
