// Operators about tensors themselves: names for others, their shape, rank and size.

import type { Dim, Value } from "../../../graph/graph.js";
import { DATA_TYPE } from "../../../onnx/data-type.js";
import { productDim } from "../../dims.js";
import { toAsIs } from "../../held.js";
import { type Emit, type OpCall, type OpFamily } from "../call.js";
import { type GraphTensor, shapeOfTensor } from "../tensors.js";

const identity: Emit = (call) => {
  call.attributes.ignore("shape", "dtype");
  return call.input(0);
};

export const GRAPH_OPS: OpFamily = {
  Identity: identity,
  StopGradient: identity,
  Snapshot: identity,
  PlaceholderWithDefault: identity,
  IdentityN: (call) => call.inputs,
  Shape: (call) => shapeResult(call, call.input(0), ""),
  ShapeN: (call) => call.inputs.map((input, i) => shapeResult(call, input, i === 0 ? "" : `${i}`)),
  Rank(call) {
    const rank = call.shapeOf(0).length;
    return call.result(call.scalar("", rank, "int32"), "as-is", [rank]);
  },
  Size(call) {
    const { value } = call.input(0).held;
    const size = call.node("Size", [value], "size", [], {}, { dtype: "int64" });
    return call.result(call.cast(size, "int32", ""), "as-is", [productDim(call.shapeOf(0))]);
  },
};

/** The shape in tfjs's order, int32. */
function shapeResult(call: OpCall, input: GraphTensor, what: string): GraphTensor {
  const shape: readonly Dim[] = shapeOfTensor(input);
  const { value, layout } = input.held;
  const rank = shape.length;
  let sizes: Value = call.node("Shape", [value], `${what}sizes`, [rank], {}, { dtype: "int64" });
  if (layout === "channels-first" && rank > 2) {
    sizes = call.node("Gather", [sizes, call.ints(`${what}order`, toAsIs(rank))], `${what}ordered`, [rank]);
  }
  const cast = call.node("Cast", [sizes], what, [rank], { to: DATA_TYPE.int32 }, { dtype: "int32" });
  return call.result(cast, "as-is", shape);
}
