// Changes of element type, and integers as vectors of zeros and ones. tfjs has float32, int32 and bool alone: all
// integer types are int32 here, whose values the graphs of layers do not leave.

import * as tf from "@tensorflow/tfjs";
import type { DType } from "../../base/tensor.js";
import { intAttribute } from "../../graph/graph.js";
import { dtypeOf } from "../../onnx/data-type.js";
import { asIs, hold, inputAt, intsAt, type Op, unsupported } from "./op.js";

/** What tfjs holds elements of a type as. */
const HELD_AS: Readonly<Partial<Record<DType, "float32" | "int32" | "bool">>> = {
  float32: "float32",
  bool: "bool",
  int8: "int32",
  uint8: "int32",
  int16: "int32",
  uint16: "int32",
  int32: "int32",
  int64: "int32",
};

/** To float exactly; to integers cut towards zero; to bool `x != 0` (ONNX Cast). */
export const cast: Op = (node, inputs) => {
  const { tensor, layout } = inputAt(node, inputs, 0);
  const to = dtypeOf(intAttribute(node, "to", 0));
  const as = to && HELD_AS[to];
  if (!as) throw unsupported(node, `elements of type ${to ?? "unknown"}`);
  if (as === "bool") return [{ tensor: tf.notEqual(tensor, tf.zerosLike(tensor)), layout }];
  return [{ tensor: tf.cast(tensor, as), layout }];
};

/** [..., T] to [..., T, depth]: on at the index, off elsewhere; the new axis is the last (ONNX OneHot). */
export const oneHot: Op = (node, inputs, constants) => {
  const indices = asIs(inputAt(node, inputs, 0));
  const axis = intAttribute(node, "axis", -1);
  if (axis !== -1 && axis !== indices.rank) throw unsupported(node, `axis ${axis}; expected the last one`);
  const [depth] = intsAt(node, constants, 1) as [number];
  const values = constants(2);
  if (values?.dtype !== "float32") throw unsupported(node, "values that are computed or no float32");
  const [off, on] = values.data as Float32Array;
  return [hold(tf.oneHot(tf.cast(indices, "int32"), depth, on, off), "as-is")];
};
