// RMSNormalization (opset 23) in operators that every opset has.

import { float32, int64 } from "../../../base/tensor.js";
import { floatAttribute, intAttribute } from "../../../graph/graph.js";
import { asNode, type OlderRule } from "./older-form.js";

/** `x / sqrt(mean(x^2) + epsilon) * scale`, the mean over the axes from `axis` on. */
export const rmsNormalization: OlderRule = (older, builder) => {
  const [x = null, scale = null] = older.inputs;
  const node = asNode(older);
  const axis = intAttribute(node, "axis", -1);
  const rank = x?.shape.length ?? 1;
  const first = axis < 0 ? axis + rank : axis;
  const axes = Array.from({ length: rank - first }, (_, i) => first + i);
  const square = builder.node("Mul", [x, x], {}, "square");
  const over = builder.constant("axes", int64([axes.length], axes));
  const mean = builder.node("ReduceMean", [square, over], { keepdims: 1 }, "mean");
  const epsilon = builder.constant("epsilon", float32([], [floatAttribute(node, "epsilon", 1e-5)]));
  const sum = builder.node("Add", [mean, epsilon], {}, "sum");
  const root = builder.node("Sqrt", [sum], {}, "root");
  const normal = builder.node("Div", [x, root], {}, "normal");
  return { op: "Mul", inputs: [normal, scale], attributes: {} };
};
